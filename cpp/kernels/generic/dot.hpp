// Eight dot products of 16-bit rows at once. Written as plain reductions, which GCC and Clang turn into the
// multiply-add instructions of the instruction set they are told (pmaddwd, smlal). Internal linkage, as lanes.hpp.
#pragma once

#include <cstdint>

#include "kernels/isa/isa.hpp"

namespace fxsim::isa {
namespace {

inline void dot_tile(const std::int16_t* const a[kDotRows], const std::int16_t* const b[kDotCols], std::int64_t depth,
                     std::int32_t sums[kDotRows][kDotCols]) {
  const std::int16_t* __restrict a0 = a[0];
  const std::int16_t* __restrict a1 = a[1];
  const std::int16_t* __restrict a2 = a[2];
  const std::int16_t* __restrict a3 = a[3];
  const std::int16_t* __restrict b0 = b[0];
  const std::int16_t* __restrict b1 = b[1];
  std::int32_t s00 = 0, s01 = 0, s10 = 0, s11 = 0, s20 = 0, s21 = 0, s30 = 0, s31 = 0;
  for (std::int64_t k = 0; k < depth; ++k) {
    s00 += a0[k] * b0[k];
    s01 += a0[k] * b1[k];
    s10 += a1[k] * b0[k];
    s11 += a1[k] * b1[k];
    s20 += a2[k] * b0[k];
    s21 += a2[k] * b1[k];
    s30 += a3[k] * b0[k];
    s31 += a3[k] * b1[k];
  }
  sums[0][0] = s00, sums[0][1] = s01, sums[1][0] = s10, sums[1][1] = s11;
  sums[2][0] = s20, sums[2][1] = s21, sums[3][0] = s30, sums[3][1] = s31;
}

}  // namespace
}  // namespace fxsim::isa
