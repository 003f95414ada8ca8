// The instructions by which AVX2 draws random bits and rounds floats, for short_lanes.hpp, pass_lanes.hpp and
// philox_lanes.hpp.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <type_traits>

#include "kernels/generic/pass_lanes.hpp"
#include "kernels/generic/philox_lanes.hpp"
#include "kernels/generic/short_lanes.hpp"

namespace fxsim::isa {
namespace {

struct PhiloxOps {
  using Vector = __m256i;
  static constexpr int kLanes = 4;
  static Vector broadcast(std::uint64_t value) { return _mm256_set1_epi64x(static_cast<long long>(value)); }
  static Vector every_second(std::uint64_t first) {
    return _mm256_add_epi64(broadcast(first), _mm256_set_epi64x(6, 4, 2, 0));
  }
  static Vector multiply(Vector a, Vector b) { return _mm256_mul_epu32(a, b); }
  // Shift and shuffle run on different ports.
  static Vector upper(Vector v) { return _mm256_srli_epi64(v, 32); }
  static Vector upper_too(Vector v) { return _mm256_shuffle_epi32(v, 0xF5); }
  static Vector differ(Vector a, Vector b, Vector c) { return _mm256_xor_si256(_mm256_xor_si256(a, b), c); }
  static Vector merge(Vector even, Vector odd) { return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA); }
  static void store(std::uint32_t* to, Vector v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), v); }
};

struct FloatOps {
  // While random bits are drawn there is no register for sums.
  template <bool kDraws>
  using Counts = std::conditional_t<kDraws, MaskCounts<FloatOps>, LaneCounts<FloatOps>>;
  using Words = std::uint32_t __attribute__((vector_size(32)));
  static constexpr int kLanes = 8;
  static __m256 broadcast(float value) { return _mm256_set1_ps(value); }
  static constexpr bool kSubtractsDown = false;
  static __m256 multiply(const float* from, __m256 factor) { return _mm256_mul_ps(_mm256_loadu_ps(from), factor); }
  static __m256 floats(Words v) { return _mm256_cvtepi32_ps(reinterpret_cast<__m256i>(v)); }
  struct Whole {
    Words words;
    __m256 floats;
  };
  template <Direction kDirection>
  static Whole whole(__m256 v) {
    constexpr int kMode[] = {_MM_FROUND_TO_NEG_INF, _MM_FROUND_TO_POS_INF, _MM_FROUND_TO_ZERO,
                             _MM_FROUND_TO_NEAREST_INT};
    constexpr int kRounds = kMode[static_cast<int>(kDirection)] | _MM_FROUND_NO_EXC;
    const __m256 rounded = _mm256_round_ps(v, kRounds);
    return {reinterpret_cast<Words>(_mm256_cvttps_epi32(rounded)), rounded};
  }
  static Words shift(Words v, int bits) {
    return reinterpret_cast<Words>(_mm256_srav_epi32(reinterpret_cast<__m256i>(v), _mm256_set1_epi32(bits)));
  }
  static Words load(const std::uint32_t* from) {
    return reinterpret_cast<Words>(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  static void store(std::int32_t* to, Words v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), reinterpret_cast<__m256i>(v));
  }
  // Of words that fit. GCC 12 would take a vector apart to narrow it.
  static void store_words(std::int8_t* to, Words v) {
    const __m128i pairs = narrowed(v);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packs_epi16(pairs, pairs));
  }
  static void store_words(std::int16_t* to, Words v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(to), narrowed(v)); }
  static __m128i narrowed(Words v) {
    const auto words = reinterpret_cast<__m256i>(v);
    return _mm_packs_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  }
  // Bit i: whether lane i is above `most`.
  static void store_above(std::uint8_t* to, Words v, std::uint32_t most) {
    store_bits(to, reinterpret_cast<__m256>(v > most));
  }
  static Words differ(__m256 a, __m256 b) { return reinterpret_cast<Words>(_mm256_cmp_ps(a, b, _CMP_NEQ_UQ)); }
  // Whether lanes of a and b differ.
  static void store_unequal(std::uint8_t* to, Words a, Words b) { store_bits(to, reinterpret_cast<__m256>(a != b)); }
  // The same, and whether they do while `rounded` is 0.
  static void store_unequal(std::uint8_t* to, std::uint8_t* to_zero, __m256 a, __m256 b, Words rounded) {
    const Words unequal = differ(a, b);
    store_bits(to, reinterpret_cast<__m256>(unequal));
    store_bits(to_zero, reinterpret_cast<__m256>(unequal & reinterpret_cast<Words>(rounded == 0)));
  }
  static void store_bits(std::uint8_t* to, __m256 lanes) { *to = static_cast<std::uint8_t>(_mm256_movemask_ps(lanes)); }
};

constexpr Lanes32 kConverting = with_passes<FloatOps, SideBySide<PhiloxOps, 2>>(with_conversions<FloatOps>(kLanes32));

}  // namespace
}  // namespace fxsim::isa
