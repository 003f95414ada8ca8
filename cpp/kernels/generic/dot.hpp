// The block of plain C++: four rows against two, all of them plain. Written as reductions over k, which GCC and Clang
// turn into the multiply-add instructions of the instruction set they are told (pmaddwd, smlal). Internal linkage, as
// lanes.hpp.
#pragma once

#include <cstdint>

#include "kernels/isa/isa.hpp"

namespace fxsim::isa {
namespace {

inline void run_dot(const std::int16_t* p, std::int64_t p_stride, const std::int16_t* r, std::int64_t r_stride,
                    std::int64_t depth, std::int32_t* sums) {
  const std::int16_t* __restrict p0 = p;
  const std::int16_t* __restrict p1 = p + p_stride;
  const std::int16_t* __restrict p2 = p + 2 * p_stride;
  const std::int16_t* __restrict p3 = p + 3 * p_stride;
  const std::int16_t* __restrict r0 = r;
  const std::int16_t* __restrict r1 = r + r_stride;
  std::int32_t s00 = 0, s01 = 0, s10 = 0, s11 = 0, s20 = 0, s21 = 0, s30 = 0, s31 = 0;
  for (std::int64_t k = 0; k < depth; ++k) {
    s00 += p0[k] * r0[k];
    s01 += p0[k] * r1[k];
    s10 += p1[k] * r0[k];
    s11 += p1[k] * r1[k];
    s20 += p2[k] * r0[k];
    s21 += p2[k] * r1[k];
    s30 += p3[k] * r0[k];
    s31 += p3[k] * r1[k];
  }
  const std::int32_t all[] = {s00, s01, s10, s11, s20, s21, s30, s31};
  for (int i = 0; i < 8; ++i) sums[i] = all[i];
}

constexpr Block kDotBlock{4, 2, false, &run_dot, 0, nullptr};

}  // namespace
}  // namespace fxsim::isa
