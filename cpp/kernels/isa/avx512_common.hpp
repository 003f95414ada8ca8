// What the AVX-512 units share: operations with internal linkage, as lanes.hpp, and the kernels of avx512.cpp that the
// units above it inherit.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/isa/isa.hpp"

namespace fxsim::isa {

namespace avx512 {

extern const RoundTable kRound;
extern const Across kAcross;
extern const NonZero kCounting;
extern const BatchNormPasses kBatchNorm;
extern const Lanes32 kRound32;
void philox(const Key& key, std::uint64_t first, std::int64_t groups, int bits, std::uint32_t* out);
extern const LaneSteps<std::int32_t> kLaneSteps;
extern const LaneSteps<std::int64_t> kWideLaneSteps;
extern const FloatSteps<float> kFloatSteps;
extern const FloatSteps<double> kDoubleSteps;
void draw_run(const DrawCall& call);
extern const Streaming kStreaming;
void add_shifted(const std::int32_t* values, std::int64_t count, int shift, std::uint64_t* sums);
void add_times(const std::int32_t* values, std::int64_t count, std::uint64_t times, std::uint64_t* sums);
void add_both(const std::int32_t* values, std::int64_t count, std::uint64_t times, double real, std::uint64_t* sums,
              double* about);

}  // namespace avx512

namespace {

// The multiply-add differs between the units.
struct Avx512Ops {
  using Vector = __m512i;
  static constexpr int kLanes = 16;
  static constexpr int kBytes = 64;
  static constexpr int kRegisters = 32;
  static Vector ones() { return _mm512_set1_epi16(1); }
  static Vector zero() { return _mm512_setzero_si512(); }
  static Vector add(Vector a, Vector b) { return _mm512_add_epi32(a, b); }
  static Vector load(const std::int16_t* from) { return _mm512_loadu_si512(from); }
  static Vector load(const std::byte* from) { return _mm512_loadu_si512(from); }
  static Vector load(const std::int32_t* from) { return _mm512_loadu_si512(from); }
  static Vector broadcast_pair(const std::int16_t* from) {
    std::int32_t pair;
    __builtin_memcpy(&pair, from, sizeof pair);
    return _mm512_set1_epi32(pair);
  }
  static Vector broadcast_group(const std::byte* from) {
    std::int32_t group;
    __builtin_memcpy(&group, from, sizeof group);
    return _mm512_set1_epi32(group);
  }
  static void store(std::int32_t* to, Vector v) { _mm512_storeu_si512(to, v); }
  static void store(float* to, __m512 v) { _mm512_storeu_ps(to, v); }
  static void stream(std::int32_t* to, Vector v) { _mm512_stream_si512(reinterpret_cast<__m512i*>(to), v); }
  static void stream(float* to, __m512 v) { _mm512_stream_ps(to, v); }
  static __m512 scaled(Vector v, float step) { return _mm512_mul_ps(_mm512_cvtepi32_ps(v), _mm512_set1_ps(step)); }
};

}  // namespace
}  // namespace fxsim::isa
