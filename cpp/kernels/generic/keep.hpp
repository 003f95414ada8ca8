// What a compiler has to be told for registers to hold what a loop multiplies. Internal linkage, as lanes.hpp.
#pragma once

namespace fxsim::isa {
namespace {

// Registers hold kRows rows of sums, the vectors that they meet, a group and a product.
template <class Ops, int kRows, int kVectors>
inline constexpr bool kHoldsAll = (kRows + 1) * kVectors + 2 <= Ops::kRegisters;

// After the last multiplication by vectors: GCC 12 gives sums the registers of vectors that are read no more, and
// copies them to their own and back. Where there is a register for everything, vectors keep theirs.
template <class Ops, int kRows, int kVectors>
[[gnu::always_inline]] inline void keep(const typename Ops::Vector (&vector)[kVectors]) {
  if constexpr (kHoldsAll<Ops, kRows, kVectors>) {
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) asm("" : : "X"(vector[j]));
  }
}

}  // namespace
}  // namespace fxsim::isa
