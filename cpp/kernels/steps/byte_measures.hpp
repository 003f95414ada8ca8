// What is measured of bytes before they are stepped, and their words, in AVX-512 VNNI. Internal linkage, as
// word_loops.hpp.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/isa/steps.hpp"

namespace fxsim::isa {
namespace {

inline void measure_bytes(const std::uint8_t* values, std::int64_t count, bool is_signed, std::int64_t stride,
                          std::int32_t* squares, std::int32_t* sums) {
  const __m512i ones = _mm512_set1_epi8(1);
  for (std::int64_t i = 0; i < count; i += kMeasured) {
    const __m512i bytes = _mm512_loadu_si512(values + i);
    const __m256i low = _mm512_castsi512_si256(bytes);
    const __m256i high = _mm512_extracti64x4_epi64(bytes, 1);
    const __m512i a = is_signed ? _mm512_cvtepi8_epi16(low) : _mm512_cvtepu8_epi16(low);
    const __m512i b = is_signed ? _mm512_cvtepi8_epi16(high) : _mm512_cvtepu8_epi16(high);
    const std::int64_t at = i / kMeasured * stride;
    squares[at] = _mm512_reduce_add_epi32(_mm512_dpwssd_epi32(_mm512_madd_epi16(a, a), b, b));
    if (sums == nullptr) continue;
    const __m512i zero = _mm512_setzero_si512();
    sums[at] = _mm512_reduce_add_epi32(is_signed ? _mm512_dpbusd_epi32(zero, ones, bytes)
                                                 : _mm512_dpbusd_epi32(zero, bytes, ones));
  }
}

// |v| * |v| of bytes, of which the second is signed: 128 meets 127 there, and is added once more.
inline void square_quads(const std::byte* quads, std::int64_t fours, std::int64_t width, std::int32_t* squares) {
  const __m512i most = _mm512_set1_epi8(127);
  const __m512i largest = _mm512_set1_epi8(-128);
  for (std::int64_t c = 0; c < width; c += 16) {
    __m512i sum = _mm512_setzero_si512();
    for (std::int64_t r = 0; r < fours; ++r) {
      const __m512i size = _mm512_abs_epi8(_mm512_loadu_si512(quads + (r * width + c) * 4));
      sum = _mm512_dpbusd_epi32(sum, size, _mm512_min_epu8(size, most));
      sum = _mm512_dpbusd_epi32(sum, largest, _mm512_subs_epu8(size, most));
    }
    _mm512_storeu_si512(squares + c, sum);
  }
}

inline void widen_bytes(const std::uint8_t* values, std::int64_t count, bool is_signed, int shift,
                        std::int32_t* words) {
  const __m128i flip = _mm_set1_epi8(static_cast<char>(0x80));
  const __m128i by = _mm_cvtsi32_si128(shift);
  const __m512i place = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0, 16, 16));
  const __m512i word = _mm512_set1_epi32(0xFFFF);
  for (std::int64_t i = 0; i < count; i += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(values + i));
    const __m512i wide = is_signed ? _mm512_cvtepi8_epi32(_mm_xor_si128(bytes, flip)) : _mm512_cvtepu8_epi32(bytes);
    const __m512i scaled = _mm512_and_si512(_mm512_sll_epi32(wide, by), word);
    _mm512_storeu_si512(words + i, _mm512_sllv_epi32(scaled, place));
  }
}

}  // namespace
}  // namespace fxsim::isa
