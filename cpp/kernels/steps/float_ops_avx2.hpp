// Vectors of floats and doubles in AVX2 with FMA.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/steps/float_loops.hpp"

namespace fxsim::isa {
namespace {

struct Float256 {
  using T = float;
  using Vector = __m256;
  using Counts = __m256i;
  static constexpr int kLanes = 8;
  static Vector load(const float* from) { return _mm256_loadu_ps(from); }
  static void store(float* to, Vector v) { _mm256_storeu_ps(to, v); }
  static Vector broadcast(float value) { return _mm256_set1_ps(value); }
  static Vector add(Vector a, Vector b) { return _mm256_add_ps(a, b); }
  static Vector subtract(Vector a, Vector b) { return _mm256_sub_ps(a, b); }
  static Vector fused(Vector a, Vector b, Vector sum) { return _mm256_fmadd_ps(a, b, sum); }
  static Vector smaller(Vector a, Vector b) { return _mm256_min_ps(a, b); }
  static Vector larger(Vector a, Vector b) { return _mm256_max_ps(a, b); }
  static Vector clamped(Vector v, Vector low, Vector high) { return larger(smaller(v, high), low); }
  static bool any_below(Vector v, Vector low) { return _mm256_movemask_ps(_mm256_cmp_ps(v, low, _CMP_LT_OQ)) != 0; }
  static Vector within(Vector v, Vector low, Vector high) { return clamped(v, low, high); }
  static Counts no_counts() { return _mm256_setzero_si256(); }
  static Counts count_changed(Counts counts, Vector a, Vector b) {  // a lane of ones is -1
    counts = _mm256_sub_epi32(counts, _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_NEQ_UQ)));
    asm("" : "+x"(counts));  // else GCC 12 puts the counting off and keeps both values, on the stack
    return counts;
  }
  static std::int64_t total(Counts counts) {
    std::int32_t lanes[8];
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), counts);
    std::int64_t sum = 0;
    for (const std::int32_t lane : lanes) sum += lane;
    return sum;
  }
};

struct Double256 {
  using T = double;
  using Vector = __m256d;
  using Counts = __m256i;
  static constexpr int kLanes = 4;
  static Vector load(const double* from) { return _mm256_loadu_pd(from); }
  static void store(double* to, Vector v) { _mm256_storeu_pd(to, v); }
  static Vector broadcast(double value) { return _mm256_set1_pd(value); }
  static Vector add(Vector a, Vector b) { return _mm256_add_pd(a, b); }
  static Vector subtract(Vector a, Vector b) { return _mm256_sub_pd(a, b); }
  static Vector fused(Vector a, Vector b, Vector sum) { return _mm256_fmadd_pd(a, b, sum); }
  static Vector smaller(Vector a, Vector b) { return _mm256_min_pd(a, b); }
  static Vector larger(Vector a, Vector b) { return _mm256_max_pd(a, b); }
  static Vector clamped(Vector v, Vector low, Vector high) { return larger(smaller(v, high), low); }
  static bool any_below(Vector v, Vector low) { return _mm256_movemask_pd(_mm256_cmp_pd(v, low, _CMP_LT_OQ)) != 0; }
  static Vector within(Vector v, Vector low, Vector high) { return clamped(v, low, high); }
  static Counts no_counts() { return _mm256_setzero_si256(); }
  static Counts count_changed(Counts counts, Vector a, Vector b) {
    counts = _mm256_sub_epi64(counts, _mm256_castpd_si256(_mm256_cmp_pd(a, b, _CMP_NEQ_UQ)));
    asm("" : "+x"(counts));  // as above
    return counts;
  }
  static std::int64_t total(Counts counts) {
    std::int64_t lanes[4];
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), counts);
    return lanes[0] + lanes[1] + lanes[2] + lanes[3];
  }
};

// Eight sums leave registers for columns, a row the limits and the counts.
constexpr FloatSteps<float> kFloatSteps = make_float_steps<Float256, 4, 2>();
constexpr FloatSteps<double> kDoubleSteps = make_float_steps<Double256, 4, 2>();

}  // namespace
}  // namespace fxsim::isa
