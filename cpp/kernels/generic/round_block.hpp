// Rounds a block the fast way of an instruction set where there is one and its values allow, else the general way.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "kernels/isa/isa.hpp"
#include "rounding/apply.hpp"

namespace fxsim::generic {

inline void add_counts(const isa::BlockCounts& counts, BlockTally& tally) {
  tally.overflows += counts.overflows;
  tally.inexact += counts.inexact;
  tally.round_to_zero += counts.round_to_zero;
  tally.clipped += counts.clipped;
}

inline PhiloxFill philox_of(const isa::Kernels* kernels) {
  return kernels == nullptr ? &philox_scalar : kernels->philox;
}

// raw[i] <- overflow(round(values[i] * 2^scale)); `u` and `clipped` hold `count` elements. An `error` mode that finds
// something to refuse goes the general way again, which knows where.
template <class Value>
BlockTally round_block(const isa::Kernels* kernels, const Value* values, std::int64_t count, int scale,
                       const Quantizer& q, const std::uint32_t* u, std::int64_t* raw, std::uint8_t* clipped) {
  BlockTally tally;
  isa::BlockCounts counts;
  bool done = false;
  if constexpr (std::is_same_v<Value, double>) {
    constexpr int kMostScale = 900;
    constexpr int kMostBits = 30;  // of the 32 that the fast way keeps of a fraction
    if (kernels != nullptr && scale <= kMostScale && scale >= -kMostScale &&
        (!q.stochastic || q.random_bits <= kMostBits)) {
      done = kernels->round->doubles[q.rounding][q.overflow](values, count, std::ldexp(1.0, scale + 32), q, u, raw,
                                                             clipped, &counts);
    }
  } else if constexpr (std::is_same_v<Value, std::int64_t>) {
    if (kernels != nullptr && scale <= 0 && scale > -64) {
      kernels->round->integers[q.rounding][q.overflow](values, count, -scale, q, u, raw, clipped, &counts);
      done = true;
    }
  }
  if (done && !(q.error && counts.clipped > 0)) {
    add_counts(counts, tally);
  } else {
    block_function<Value>(q)(values, count, scale, q, u, raw, clipped, tally);
  }
  return tally;
}

}  // namespace fxsim::generic
