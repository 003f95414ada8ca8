// The multiply-add block of a GEMM in vector registers: kRows plain rows against kVectors vectors of columns whose k
// stand in pairs. Ops gives an instruction set's vector and its few operations. Internal linkage, as lanes.hpp.
#pragma once

#include <cstdint>

#include "kernels/isa/isa.hpp"

namespace fxsim::isa {
namespace {

// All loops over the accumulators are unrolled, or GCC keeps them in memory.
template <class Ops, int kRows, int kVectors>
void run_block(const std::int16_t* p, std::int64_t p_stride, const std::int16_t* r, std::int64_t, std::int64_t depth,
               std::int32_t* sums) {
  constexpr int kCols = kVectors * Ops::kLanes;
  typename Ops::Vector sum[kRows][kVectors];
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) sum[i][j] = Ops::zero();
  }
  for (std::int64_t k = 0; k < depth; k += 2) {
    typename Ops::Vector column[kVectors];
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) column[j] = Ops::load(r + k * kCols + j * 2 * Ops::kLanes);
#pragma GCC unroll 32
    for (int i = 0; i < kRows; ++i) {
      const typename Ops::Vector pair = Ops::broadcast_pair(p + i * p_stride + k);
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) sum[i][j] = Ops::multiply_add(sum[i][j], pair, column[j]);
    }
  }
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) Ops::store(sums + i * kCols + j * Ops::kLanes, sum[i][j]);
  }
}

// One k of a pair at a time: with the other half of the pair blanked, the pairwise multiply-add is a single product.
template <class Ops, int kRows, int kVectors, bool kCount>
std::int64_t take_steps(const std::int16_t* p, std::int64_t p_stride, const std::int16_t* r, std::int64_t depth,
                        std::int32_t lowest, std::int32_t highest, std::int32_t* held) {
  constexpr int kCols = kVectors * Ops::kLanes;
  using Vector = typename Ops::Vector;
  const Vector low = Ops::broadcast(lowest);
  const Vector high = Ops::broadcast(highest);
  const Vector first_half = Ops::broadcast(0xFFFF);
  Vector changes = Ops::zero();
  Vector sum[kRows][kVectors];
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) sum[i][j] = Ops::load(held + i * kCols + j * Ops::kLanes);
  }
  for (std::int64_t k = 0; k < depth; k += 2) {
    Vector column[kVectors];
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) column[j] = Ops::load(r + k * kCols + j * 2 * Ops::kLanes);
#pragma GCC unroll 32
    for (int i = 0; i < kRows; ++i) {
      const Vector pair = Ops::broadcast_pair(p + i * p_stride + k);
      const Vector halves[2] = {Ops::both(pair, first_half), Ops::without(pair, first_half)};
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
#pragma GCC unroll 8
        for (int j = 0; j < kVectors; ++j) {
          const Vector next = Ops::add(sum[i][j], Ops::multiply_pairs(halves[half], column[j]));
          sum[i][j] = Ops::minimum(Ops::maximum(next, low), high);
          if constexpr (kCount) changes = Ops::count_changed(changes, next, sum[i][j]);
        }
      }
    }
  }
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) Ops::store(held + i * kCols + j * Ops::kLanes, sum[i][j]);
  }
  std::int32_t lanes[Ops::kLanes];
  Ops::store(lanes, changes);
  std::int64_t total = 0;
  for (const std::int32_t lane : lanes) total += lane;
  return total;
}

template <class Ops, int kRows, int kVectors>
std::int64_t run_steps(const std::int16_t* p, std::int64_t p_stride, const std::int16_t* r, std::int64_t depth,
                       std::int32_t lowest, std::int32_t highest, bool count, std::int32_t* held) {
  return count ? take_steps<Ops, kRows, kVectors, true>(p, p_stride, r, depth, lowest, highest, held)
               : take_steps<Ops, kRows, kVectors, false>(p, p_stride, r, depth, lowest, highest, held);
}

// kStepRows is smaller where a step needs more registers than a sum.
template <class Ops, int kRows, int kStepRows, int kVectors>
constexpr Block make_block() {
  return {kRows,     kVectors * Ops::kLanes,
          true,      &run_block<Ops, kRows, kVectors>,
          kStepRows, &run_steps<Ops, kStepRows, kVectors>};
}

}  // namespace
}  // namespace fxsim::isa
