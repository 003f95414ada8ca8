// What the NEON units share: operations with internal linkage, as lanes.hpp, and the kernels of neon.cpp that the unit
// above it inherits.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "kernels/generic/block.hpp"
#include "kernels/isa/isa.hpp"

namespace fxsim::isa {

namespace neon {

extern const RoundTable kRound;
extern const Lanes32 kRound32;
extern const Across kAcross;
extern const NonZero kCounting;
extern const BatchNormPasses kBatchNorm;
extern const Block kBlocks[kBlockChoices];
extern const Tiles kWords;
void philox(const Key& key, std::uint64_t first, std::int64_t groups, int bits, std::uint32_t* out);
extern const Steps kSteps;
void add_shifted(const std::int32_t* values, std::int64_t count, int shift, std::uint64_t* sums);
void add_times(const std::int32_t* values, std::int64_t count, std::uint64_t times, std::uint64_t* sums);
void add_both(const std::int32_t* values, std::int64_t count, std::uint64_t times, double real, std::uint64_t* sums,
              double* about);

}  // namespace neon

namespace {

// What 32-bit lanes do, whatever is multiplied.
struct NeonLanes {
  using Vector = int32x4_t;
  static constexpr int kLanes = 4;
  static constexpr int kBytes = 16;
  static constexpr int kRegisters = 32;
  static Vector zero() { return vdupq_n_s32(0); }
  static Vector add(Vector a, Vector b) { return vaddq_s32(a, b); }
  static Vector load(const std::int32_t* from) { return vld1q_s32(from); }
  static Vector broadcast(std::int32_t value) { return vdupq_n_s32(value); }
  static Vector minimum(Vector a, Vector b) { return vminq_s32(a, b); }
  static Vector maximum(Vector a, Vector b) { return vmaxq_s32(a, b); }
  static Vector count_changed(Vector counts, Vector a, Vector b) {
    counts = vsubq_s32(counts, vreinterpretq_s32_u32(vmvnq_u32(vceqq_s32(a, b))));  // -1 where they differ
    asm("" : "+w"(counts));  // else GCC 12 puts the counting off and keeps both values
    return counts;
  }
  static void store(std::int32_t* to, Vector v) { vst1q_s32(to, v); }
  static void store(float* to, float32x4_t v) { vst1q_f32(to, v); }
  static float32x4_t scaled(Vector v, float step) { return vmulq_n_f32(vcvtq_f32_s32(v), step); }
};

// Pairs of 16-bit values are taken apart as they are loaded, the first ones in the lower half of a vector and the
// second ones in the upper half, so that smlal and smlal2 add a product of each to four sums.
struct NeonOps : NeonLanes {
  using NeonLanes::load;
  static Vector ones() { return vreinterpretq_s32_s16(vdupq_n_s16(1)); }
  static Vector load(const std::byte* from) {
    constexpr std::uint8_t kApart[16] = {0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15};
    return rearranged(vld1q_u8(reinterpret_cast<const std::uint8_t*>(from)), kApart);
  }
  static Vector load(const std::int16_t* from) { return load(reinterpret_cast<const std::byte*>(from)); }
  static Vector broadcast_group(const std::byte* from) {
    constexpr std::uint8_t kApart[16] = {0, 1, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 2, 3};
    std::int32_t pair;
    __builtin_memcpy(&pair, from, sizeof pair);
    return rearranged(vreinterpretq_u8_s32(vdupq_n_s32(pair)), kApart);
  }
  static Vector broadcast_pair(const std::int16_t* from) {
    return broadcast_group(reinterpret_cast<const std::byte*>(from));
  }
  static Vector multiply_add(Vector sum, Vector a, Vector b) { return add_second(add_first(sum, a, b), a, b); }

  // sum + the product of the first, or second, values of each pair.
  static Vector add_first(Vector sum, Vector a, Vector b) {
    return vmlal_s16(sum, vget_low_s16(words(a)), vget_low_s16(words(b)));
  }
  static Vector add_second(Vector sum, Vector a, Vector b) { return vmlal_high_s16(sum, words(a), words(b)); }

 private:
  static int16x8_t words(Vector v) { return vreinterpretq_s16_s32(v); }
  static Vector rearranged(uint8x16_t bytes, const std::uint8_t order[16]) {
    return vreinterpretq_s32_u8(vqtbl1q_u8(bytes, vld1q_u8(order)));
  }
};

// As run_block, but what is held is clamped after each of a pair's two steps.
template <int kRows, int kVectors, bool kCount>
std::int64_t take_neon_steps(const std::int16_t* p, std::int64_t p_stride, const std::int16_t* r, std::int64_t depth,
                             std::int32_t lowest, std::int32_t highest, std::int32_t* held) {
  using Vector = NeonOps::Vector;
  constexpr int kCols = kVectors * NeonOps::kLanes;
  const Vector low = NeonOps::broadcast(lowest);
  const Vector high = NeonOps::broadcast(highest);
  Vector changes = NeonOps::zero();
  Vector sum[kRows][kVectors];
  const auto clamp = [&](Vector next) {
    const Vector kept = NeonOps::minimum(NeonOps::maximum(next, low), high);
    if constexpr (kCount) changes = NeonOps::count_changed(changes, next, kept);
    return kept;
  };
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) sum[i][j] = NeonOps::load(held + i * kCols + j * NeonOps::kLanes);
  }
  for (std::int64_t k = 0; k < depth; k += 2) {
    Vector column[kVectors];
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) column[j] = NeonOps::load(r + k * kCols + j * 2 * NeonOps::kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      const Vector pair = NeonOps::broadcast_pair(p + i * p_stride + k);
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) sum[i][j] = clamp(NeonOps::add_first(sum[i][j], pair, column[j]));
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) sum[i][j] = clamp(NeonOps::add_second(sum[i][j], pair, column[j]));
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) NeonOps::store(held + i * kCols + j * NeonOps::kLanes, sum[i][j]);
  }
  return vaddlvq_s32(changes);
}

template <int kRows, int kVectors>
std::int64_t run_neon_steps(const std::int16_t* p, std::int64_t p_stride, const std::int16_t* r, std::int64_t depth,
                            std::int32_t lowest, std::int32_t highest, bool count, std::int32_t* held) {
  return count ? take_neon_steps<kRows, kVectors, true>(p, p_stride, r, depth, lowest, highest, held)
               : take_neon_steps<kRows, kVectors, false>(p, p_stride, r, depth, lowest, highest, held);
}

template <int kRows, int kVectors>
constexpr Block make_neon_block() {
  return {kRows, kVectors * NeonOps::kLanes,      true, &run_block<NeonOps, kRows, kVectors>,
          kRows, &run_neon_steps<kRows, kVectors>};
}

}  // namespace
}  // namespace fxsim::isa
