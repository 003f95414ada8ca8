// The instructions by which AVX-512 draws random bits and rounds floats, for short_lanes.hpp, pass_lanes.hpp and
// philox_lanes.hpp.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/generic/pass_lanes.hpp"
#include "kernels/generic/philox_lanes.hpp"
#include "kernels/generic/short_lanes.hpp"

namespace fxsim::isa {
namespace {

struct PhiloxOps {
  using Vector = __m512i;
  static constexpr int kLanes = 8;
  static Vector broadcast(std::uint64_t value) { return _mm512_set1_epi64(static_cast<long long>(value)); }
  static Vector every_second(std::uint64_t first) {
    return _mm512_add_epi64(broadcast(first), _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0));
  }
  static Vector multiply(Vector a, Vector b) { return _mm512_mul_epu32(a, b); }
  // Shift and shuffle run on different ports.
  static Vector upper(Vector v) { return _mm512_srli_epi64(v, 32); }
  static Vector upper_too(Vector v) { return _mm512_shuffle_epi32(v, _MM_PERM_DDBB); }
  static Vector differ(Vector a, Vector b, Vector c) { return _mm512_ternarylogic_epi64(a, b, c, 0x96); }
  static Vector merge(Vector even, Vector odd) { return _mm512_mask_shuffle_epi32(even, 0xAAAA, odd, _MM_PERM_CCAA); }
  static void store(std::uint32_t* to, Vector v) { _mm512_storeu_si512(to, v); }
};

struct FloatOps {
  template <bool kDraws>
  using Counts = MaskCounts<FloatOps>;
  using Words = std::uint32_t __attribute__((vector_size(64)));
  static constexpr int kLanes = 16;
  static __m512 broadcast(float value) { return _mm512_set1_ps(value); }
  static __m512 multiply(const float* from, __m512 factor) { return multiply(_mm512_loadu_ps(from), factor); }
  static __m512 multiply(__m512 a, __m512 b) { return _mm512_mul_ps(a, b); }
  static constexpr bool kSubtractsDown = true;
  static __m512 subtract_down(__m512 a, __m512 b) {
    return _mm512_sub_round_ps(a, b, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  }
  static __m512 floats(Words v) { return _mm512_cvtepi32_ps(reinterpret_cast<__m512i>(v)); }
  struct Whole {
    Words words;
    __m512 floats;
  };
  template <Direction kDirection>
  static Whole whole(__m512 v) {
    constexpr int kMode[] = {_MM_FROUND_TO_NEG_INF, _MM_FROUND_TO_POS_INF, _MM_FROUND_TO_ZERO,
                             _MM_FROUND_TO_NEAREST_INT};
    constexpr int kRounds = kMode[static_cast<int>(kDirection)] | _MM_FROUND_NO_EXC;
    const __m512i rounded = _mm512_cvt_roundps_epi32(v, kRounds);
    return {reinterpret_cast<Words>(rounded), _mm512_cvtepi32_ps(rounded)};
  }
  static Words shift(Words v, int bits) {
    return reinterpret_cast<Words>(_mm512_srav_epi32(reinterpret_cast<__m512i>(v), _mm512_set1_epi32(bits)));
  }
  static Words load(const std::uint32_t* from) { return reinterpret_cast<Words>(_mm512_loadu_si512(from)); }
  static void store(std::int32_t* to, Words v) { _mm512_storeu_si512(to, reinterpret_cast<__m512i>(v)); }
  // Of words that fit.
  static void store_words(std::int8_t* to, Words v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(reinterpret_cast<__m512i>(v)));
  }
  static void store_words(std::int16_t* to, Words v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(reinterpret_cast<__m512i>(v)));
  }
  // Bit i: whether lane i is above `most`.
  static void store_above(std::uint8_t* to, Words v, std::uint32_t most) {
    const auto limit = _mm512_set1_epi32(static_cast<int>(most));
    store_bits(to, _mm512_cmpgt_epu32_mask(reinterpret_cast<__m512i>(v), limit));
  }
  // Whether lanes of a and b differ.
  static void store_unequal(std::uint8_t* to, Words a, Words b) {
    store_bits(to, _mm512_cmpneq_epi32_mask(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
  }
  // The same, and whether they do while `rounded` is 0.
  static void store_unequal(std::uint8_t* to, std::uint8_t* to_zero, __m512 a, __m512 b, Words rounded) {
    const auto words = reinterpret_cast<__m512i>(rounded);
    const __mmask16 unequal = _mm512_cmp_ps_mask(a, b, _CMP_NEQ_UQ);
    store_bits(to, unequal);
    store_bits(to_zero, _mm512_mask_testn_epi32_mask(unequal, words, words));
  }
  static void store_bits(std::uint8_t* to, __mmask16 lanes) { __builtin_memcpy(to, &lanes, sizeof lanes); }
};

constexpr Lanes32 kConverting = with_passes<FloatOps, SideBySide<PhiloxOps, 2>>(with_conversions<FloatOps>(kLanes32));

}  // namespace
}  // namespace fxsim::isa
