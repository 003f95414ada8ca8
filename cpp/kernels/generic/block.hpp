// The multiply-add block of a GEMM in vector registers: kRows plain rows against kVectors vectors of columns whose k
// stand in pairs. Ops gives an instruction set's vector and its few operations. Internal linkage, as lanes.hpp.
#pragma once

#include <cstdint>

#include "kernels/generic/keep.hpp"
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
    keep<Ops, kRows>(column);
  }
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) Ops::store(sums + i * kCols + j * Ops::kLanes, sum[i][j]);
  }
}

template <class Ops, int kRows, int kVectors>
constexpr Block make_block() {
  return {kRows, kVectors * Ops::kLanes, true, &run_block<Ops, kRows, kVectors>, 0, nullptr};
}

}  // namespace
}  // namespace fxsim::isa
