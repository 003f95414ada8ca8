// Rounding and overflow over a block of values, with the events they cause.
#pragma once

#include <cstdint>

#include "numbers/integers.hpp"
#include "numbers/wide.hpp"
#include "rounding/quantizer.hpp"

namespace fxsim {

struct BlockTally {
  std::int64_t overflows = 0;       // values that the overflow mode changed
  std::int64_t inexact = 0;         // values whose rounding dropped a fraction
  std::int64_t round_to_zero = 0;   // non-zero values that became 0 in rounding
  std::int64_t clipped = 0;         // values whose rounded integer lay outside the range
  std::int64_t first_outside = -1;  // place in the block of the first of these, and its rounded integer
  Integer outside_value;
};

// raw[i] <- overflow(round(values[i] * 2^scale)). `u` holds a random integer a value where the rounding is
// stochastic and is not read otherwise; `clipped`, where given, receives 1 for values outside the range.
template <class Value>
using BlockFn = void (*)(const Value* values, std::int64_t count, int scale, const Quantizer& quantizer,
                         const std::uint32_t* u, std::int64_t* raw, std::uint8_t* clipped, BlockTally& tally);

// Value: double, std::int64_t, int128 or Wide.
template <class Value>
BlockFn<Value> block_function(const Quantizer& quantizer);

}  // namespace fxsim
