// Vectors of 32-bit lanes in AVX-512, for run_loops.hpp.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/steps/run_loops.hpp"

namespace fxsim::isa {
namespace {

struct Run512 {
  using Vector = __m512i;
  using Counts = __m512i;
  static constexpr int kLanes = 16;
  static constexpr int kMost = 8;
  static constexpr bool kSaturates = false;
  static Vector load(const std::int32_t* from) { return _mm512_loadu_si512(from); }
  static void store(std::int32_t* to, Vector v) { _mm512_storeu_si512(to, v); }
  static Vector broadcast(std::int32_t value) { return _mm512_set1_epi32(value); }
  static Vector add(Vector a, Vector b) { return _mm512_add_epi32(a, b); }
  static Vector subtract(Vector a, Vector b) { return _mm512_sub_epi32(a, b); }
  static Vector multiply(Vector a, Vector b) { return _mm512_madd_epi16(a, b); }
  static Vector multiply_add(Vector sum, Vector a, Vector b) { return add(sum, multiply(a, b)); }
  static Vector both(Vector a, Vector b) { return _mm512_and_si512(a, b); }
  static Vector smaller(Vector a, Vector b) { return _mm512_min_epi32(a, b); }
  static Vector larger(Vector a, Vector b) { return _mm512_max_epi32(a, b); }
  static Vector right(Vector v, Vector bits) { return _mm512_srav_epi32(v, bits); }
  static Vector add_where_negative(Vector v, Vector sum, Vector addend) {
    return _mm512_mask_add_epi32(v, _mm512_movepi32_mask(sum), v, addend);
  }
  static Vector add_where_bit(Vector v, Vector sum, Vector bit, Vector addend) {
    return _mm512_mask_add_epi32(v, _mm512_test_epi32_mask(sum, bit), v, addend);
  }
  static Vector where_equal(Vector a, Vector b) { return _mm512_maskz_mov_epi32(_mm512_cmpeq_epi32_mask(a, b), a); }
  static Counts no_counts() { return _mm512_setzero_si512(); }
  static Counts count_changed(Counts counts, Vector a, Vector b) {
    counts = _mm512_mask_add_epi32(counts, _mm512_cmpneq_epi32_mask(a, b), counts, _mm512_set1_epi32(1));
    asm("" : "+v"(counts));  // else GCC 12 puts the counting off and keeps both values, on the stack
    return counts;
  }
  static std::int64_t total(Counts counts, std::int64_t) { return _mm512_reduce_add_epi32(counts); }
};

}  // namespace
}  // namespace fxsim::isa
