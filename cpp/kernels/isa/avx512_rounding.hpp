// The instructions by which AVX-512 draws random bits and rounds floats, for short_lanes.hpp, pass_lanes.hpp and
// philox_lanes.hpp.
#pragma once

#include <immintrin.h>

#include <bit>
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

// Counts of vectors of rounded values: masks are stored as they come and their bits counted at the end.
class MaskCounts {
 public:
  using Words = std::uint32_t __attribute__((vector_size(64)));

  // The number of the vector; where a and b differ, the values were not on the grid.
  void add(std::int64_t vector, __m512 a, __m512 b, Words rounded) {
    const __mmask16 differ = _mm512_cmp_ps_mask(a, b, _CMP_NEQ_UQ);
    const auto words = reinterpret_cast<__m512i>(rounded);
    inexact_[vector] = differ;
    round_to_zero_[vector] = _mm512_mask_testn_epi32_mask(differ, words, words);
  }

  void sum(std::int64_t, Counts32& counts) const {
    counts.inexact += bits_of(inexact_);
    counts.round_to_zero += bits_of(round_to_zero_);
  }

 private:
  static constexpr std::int64_t kVectors = kBlock32 / 16;
  static_assert(kVectors % 4 == 0);

  static std::int64_t bits_of(const std::uint16_t* masks) {
    std::int64_t bits = 0;
    for (std::int64_t i = 0; i < kVectors; i += 4) {
      std::uint64_t four;
      __builtin_memcpy(&four, masks + i, sizeof four);
      bits += std::popcount(four);
    }
    return bits;
  }

  std::uint16_t inexact_[kVectors]{}, round_to_zero_[kVectors]{};
};

struct FloatOps {
  using Counts = MaskCounts;
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
  template <Direction kDirection>
  static Words integers(__m512 v) {
    constexpr int kMode[] = {_MM_FROUND_TO_NEG_INF, _MM_FROUND_TO_POS_INF, _MM_FROUND_TO_ZERO,
                             _MM_FROUND_TO_NEAREST_INT};
    constexpr int kRounds = kMode[static_cast<int>(kDirection)] | _MM_FROUND_NO_EXC;
    return reinterpret_cast<Words>(_mm512_cvt_roundps_epi32(v, kRounds));
  }
  static Words shift(Words v, int bits) {
    return reinterpret_cast<Words>(_mm512_srav_epi32(reinterpret_cast<__m512i>(v), _mm512_set1_epi32(bits)));
  }
  static Words load(const std::uint32_t* from) { return reinterpret_cast<Words>(_mm512_loadu_si512(from)); }
  static void store(std::int32_t* to, Words v) { _mm512_storeu_si512(to, reinterpret_cast<__m512i>(v)); }
  // Bit i: whether lane i is above `most`.
  static void store_above(std::uint8_t* to, Words v, std::uint32_t most) {
    const auto limit = _mm512_set1_epi32(static_cast<int>(most));
    const __mmask16 bits = _mm512_cmpgt_epu32_mask(reinterpret_cast<__m512i>(v), limit);
    __builtin_memcpy(to, &bits, sizeof bits);
  }
};

constexpr Lanes32 kConverting = with_passes<FloatOps, SideBySide<PhiloxOps, 2>>(with_conversions<FloatOps>(kLanes32));

}  // namespace
}  // namespace fxsim::isa
