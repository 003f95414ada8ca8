// Sums that may leave 64 bits: their last 64, and beside them their upper part in units of 2^32, too small by less than
// a unit for each part that was added.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/api.hpp"
#include "kernels/exact/plain.hpp"
#include "numbers/integers.hpp"

namespace fxsim::exact {

// By the operands' formats. A register that wraps at every step rounds nothing where the exact sum decides, so the
// last 64 bits do.
inline bool sum_fits_64_bits(const GemmCall& call, const Format& a, const Format& b) {
  const Accumulator& acc = call.accumulator;
  if (acc.inner && acc.inner->wraps && !acc.at_end) return true;
  return a.magnitude_bits() + b.magnitude_bits() + ceil_log2(std::max<std::int64_t>(call.a.depth(), 1)) < 63;
}

// How often 2^64 is in the sum besides its last 64 bits, taken as signed. Fewer than 2^31 parts were added.
inline std::int64_t times_2_64(std::uint64_t low, std::int64_t high) {
  return (high - (static_cast<std::int64_t>(low) >> 32) + (std::int64_t{1} << 31)) >> 32;
}

inline bool all_fit_64_bits(const std::uint64_t* low, const std::int64_t* high, std::int64_t count) {
  std::int64_t beyond = 0;
  for (std::int64_t i = 0; i < count; ++i) beyond |= times_2_64(low[i], high[i]);
  return beyond == 0;
}

inline int128 joined(std::uint64_t low, std::int64_t high) {
  return static_cast<int128>(static_cast<uint128>(times_2_64(low, high)) << 64) + static_cast<std::int64_t>(low);
}

}  // namespace fxsim::exact
