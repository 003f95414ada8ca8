// How AVX-512 draws the random bits of draw_loops.hpp.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/isa/avx512_rounding.hpp"
#include "kernels/steps/draw_loops.hpp"

namespace fxsim::isa {
namespace {

struct DrawOps : PhiloxOps {
  using PhiloxOps::differ;
  static Vector differ(Vector a, Vector b) { return _mm512_xor_si512(a, b); }
  static Vector load(const std::uint64_t* from) { return _mm512_load_si512(from); }
  static void store_pairs(std::int32_t* to, Vector v) { _mm512_storeu_si512(to, v); }
  static Vector cut_to(int bits) { return _mm512_set1_epi16(static_cast<short>(16 - bits)); }
  static Vector cut(Vector v, Vector by) { return _mm512_srlv_epi16(v, by); }
  // Bytes 0 and 1, or 2 and 3, of every word at the top of its two halves.
  static Vector first_bytes(Vector v) { return spread(v, 0); }
  static Vector last_bytes(Vector v) { return spread(v, 0x02000200); }
  // The upper halves of the words of both.
  static Vector upper_words(Vector even, Vector odd) {
    return _mm512_mask_blend_epi16(0xAAAAAAAA, _mm512_srli_epi32(even, 16), odd);
  }

 private:
  static Vector spread(Vector v, std::int32_t from) {
    const Vector places = _mm512_set4_epi32(0x0D800C80, 0x09800880, 0x05800480, 0x01800080);  // 0x80: a zero
    return _mm512_shuffle_epi8(v, _mm512_add_epi8(places, _mm512_set1_epi32(from)));
  }
};

}  // namespace
}  // namespace fxsim::isa
