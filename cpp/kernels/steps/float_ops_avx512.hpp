// Vectors of floats and doubles in AVX-512. vrange with this selector is the smaller magnitude with the first one's
// sign: a whole clamp to [-high, high].
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/steps/float_loops.hpp"

namespace fxsim::isa {
namespace {

inline constexpr int kSmallerMagnitude = 2;

struct Float512 {
  using T = float;
  using Vector = __m512;
  using Counts = __m512i;
  static constexpr int kLanes = 16;
  static Vector load(const float* from) { return _mm512_loadu_ps(from); }
  static void store(float* to, Vector v) { _mm512_storeu_ps(to, v); }
  static Vector broadcast(float value) { return _mm512_set1_ps(value); }
  static Vector add(Vector a, Vector b) { return _mm512_add_ps(a, b); }
  static Vector subtract(Vector a, Vector b) { return _mm512_sub_ps(a, b); }
  static Vector fused(Vector a, Vector b, Vector sum) { return _mm512_fmadd_ps(a, b, sum); }
  static Vector smaller(Vector a, Vector b) { return _mm512_min_ps(a, b); }
  static Vector larger(Vector a, Vector b) { return _mm512_max_ps(a, b); }
  static Vector clamped(Vector v, Vector low, Vector high) { return larger(smaller(v, high), low); }
  static bool any_below(Vector v, Vector low) { return _mm512_cmp_ps_mask(v, low, _CMP_LT_OQ) != 0; }
  static Vector within(Vector v, Vector, Vector high) { return _mm512_range_ps(v, high, kSmallerMagnitude); }
  static Counts no_counts() { return _mm512_setzero_si512(); }
  static Counts count_changed(Counts counts, Vector a, Vector b) {
    counts = _mm512_mask_add_epi32(counts, _mm512_cmp_ps_mask(a, b, _CMP_NEQ_UQ), counts, _mm512_set1_epi32(1));
    asm("" : "+v"(counts));  // else GCC 12 puts the counting off and keeps both values, on the stack
    return counts;
  }
  static std::int64_t total(Counts counts) {
    return _mm512_reduce_add_epi64(_mm512_add_epi64(_mm512_cvtepi32_epi64(_mm512_castsi512_si256(counts)),
                                                    _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(counts, 1))));
  }
};

struct Double512 {
  using T = double;
  using Vector = __m512d;
  using Counts = __m512i;
  static constexpr int kLanes = 8;
  static Vector load(const double* from) { return _mm512_loadu_pd(from); }
  static void store(double* to, Vector v) { _mm512_storeu_pd(to, v); }
  static Vector broadcast(double value) { return _mm512_set1_pd(value); }
  static Vector add(Vector a, Vector b) { return _mm512_add_pd(a, b); }
  static Vector subtract(Vector a, Vector b) { return _mm512_sub_pd(a, b); }
  static Vector fused(Vector a, Vector b, Vector sum) { return _mm512_fmadd_pd(a, b, sum); }
  static Vector smaller(Vector a, Vector b) { return _mm512_min_pd(a, b); }
  static Vector larger(Vector a, Vector b) { return _mm512_max_pd(a, b); }
  static Vector clamped(Vector v, Vector low, Vector high) { return larger(smaller(v, high), low); }
  static bool any_below(Vector v, Vector low) { return _mm512_cmp_pd_mask(v, low, _CMP_LT_OQ) != 0; }
  static Vector within(Vector v, Vector, Vector high) { return _mm512_range_pd(v, high, kSmallerMagnitude); }
  static Counts no_counts() { return _mm512_setzero_si512(); }
  static Counts count_changed(Counts counts, Vector a, Vector b) {
    counts = _mm512_mask_add_epi64(counts, _mm512_cmp_pd_mask(a, b, _CMP_NEQ_UQ), counts, _mm512_set1_epi64(1));
    asm("" : "+v"(counts));  // as above
    return counts;
  }
  static std::int64_t total(Counts counts) { return _mm512_reduce_add_epi64(counts); }
};

// Enough lanes to hide the latency of a step of twelve cycles, and registers left for the limits and the counts.
constexpr FloatSteps<float> kFloatSteps = make_float_steps<Float512, 10, 2>();
constexpr FloatSteps<double> kDoubleSteps = make_float_steps<Double512, 10, 2>();

}  // namespace
}  // namespace fxsim::isa
