// Bytes and words of four images side by side, sixteen groups a vector: unpacked within 128-bit lanes, whose parts were
// put there in the order that unpacking wants. Internal linkage, as the plain loops.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/generic/copy_loops.hpp"

namespace fxsim::isa {
namespace {

inline void join_64_bytes(const std::uint8_t* from, std::int64_t apart, __m512i flips, std::uint32_t* groups) {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const auto load = [&](std::int64_t image) {
    return _mm512_permutexvar_epi32(order, _mm512_loadu_si512(from + image * apart));
  };
  const __m512i a = load(0), b = load(1), c = load(2), d = load(3);
  const __m512i ab_low = _mm512_unpacklo_epi8(a, b), ab_high = _mm512_unpackhi_epi8(a, b);
  const __m512i cd_low = _mm512_unpacklo_epi8(c, d), cd_high = _mm512_unpackhi_epi8(c, d);
  _mm512_storeu_si512(groups, _mm512_xor_si512(_mm512_unpacklo_epi16(ab_low, cd_low), flips));
  _mm512_storeu_si512(groups + 16, _mm512_xor_si512(_mm512_unpackhi_epi16(ab_low, cd_low), flips));
  _mm512_storeu_si512(groups + 32, _mm512_xor_si512(_mm512_unpacklo_epi16(ab_high, cd_high), flips));
  _mm512_storeu_si512(groups + 48, _mm512_xor_si512(_mm512_unpackhi_epi16(ab_high, cd_high), flips));
}

inline void join_by_lanes(const std::uint8_t* from, std::int64_t apart, std::int64_t count, std::uint8_t flip,
                          std::uint32_t* groups) {
  constexpr std::int64_t kTogether = 64;
  const __m512i flips = _mm512_set1_epi8(static_cast<char>(flip));
  std::int64_t i = 0;
  for (; i + kTogether <= count; i += kTogether) join_64_bytes(from + i, apart, flips, groups + i);
  if (i < count) join_bytes(from + i, apart, count - i, flip, groups + i);
}

// Words 0 to 15 go to low and high, 16 to 31 to next_low and next_high.
inline void split_32_words(const std::int16_t* from, std::int64_t apart, std::uint32_t* low, std::uint32_t* high,
                           std::uint32_t* next_low, std::uint32_t* next_high) {
  const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
  const __m512i flips = _mm512_set1_epi8(static_cast<char>(0x80));
  const __m512i low_byte = _mm512_set1_epi16(0xFF);
  const auto load = [&](std::int64_t image) {
    return _mm512_permutexvar_epi64(order, _mm512_loadu_si512(from + image * apart));
  };
  // 0xD8 takes the second where the third is set, else the first.
  const auto low_bytes = [&](__m512i first, __m512i second) {
    return _mm512_ternarylogic_epi64(_mm512_slli_epi16(second, 8), first, low_byte, 0xD8);
  };
  const auto high_bytes = [&](__m512i first, __m512i second) {
    return _mm512_ternarylogic_epi64(second, _mm512_srli_epi16(first, 8), low_byte, 0xD8);
  };
  const __m512i a = load(0), b = load(1), c = load(2), d = load(3);
  const __m512i ab = _mm512_xor_si512(low_bytes(a, b), flips), cd = _mm512_xor_si512(low_bytes(c, d), flips);
  _mm512_storeu_si512(low, _mm512_unpacklo_epi16(ab, cd));
  _mm512_storeu_si512(next_low, _mm512_unpackhi_epi16(ab, cd));
  const __m512i ab_high = high_bytes(a, b), cd_high = high_bytes(c, d);
  _mm512_storeu_si512(high, _mm512_unpacklo_epi16(ab_high, cd_high));
  _mm512_storeu_si512(next_high, _mm512_unpackhi_epi16(ab_high, cd_high));
}

inline void split_by_lanes(const std::int16_t* from, std::int64_t apart, std::int64_t channels, std::int64_t pixels,
                           std::uint32_t* low, std::uint32_t* high, std::int64_t pitch) {
  constexpr std::int64_t kTogether = 32, kHalf = 16;
  std::int64_t x = 0;
  for (; channels == kHalf && x + 2 <= pixels; x += 2, low += 2 * pitch, high += 2 * pitch) {
    split_32_words(from + x * channels, apart, low, high, low + pitch, high + pitch);
  }
  for (; x < pixels; ++x, low += pitch, high += pitch) {
    const std::int16_t* pixel = from + x * channels;
    std::int64_t i = 0;
    for (; i + kTogether <= channels; i += kTogether) {
      split_32_words(pixel + i, apart, low + i, high + i, low + i + kHalf, high + i + kHalf);
    }
    if (i < channels) split_pixel(pixel + i, apart, channels - i, low + i, high + i);
  }
}

constexpr Copies with_lanes(Copies copies) {
  copies.join = &join_by_lanes;
  copies.split = &split_by_lanes;
  return copies;
}

constexpr Copies kCopiesByLanes = with_lanes(kCopies);

}  // namespace
}  // namespace fxsim::isa
