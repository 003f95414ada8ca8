// Sums that may leave 64 bits: their last 64, and beside them the sum itself, about: a double that is off by less than
// 2^62.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/api.hpp"
#include "numbers/integers.hpp"

namespace fxsim::exact {

// By the operands' formats. A register that wraps at every step rounds nothing where the exact sum decides, so the
// last 64 bits do.
inline bool sum_fits_64_bits(const GemmCall& call, const Format& a, const Format& b) {
  const Accumulator& acc = call.accumulator;
  if (acc.inner && acc.inner->wraps && !acc.at_end) return true;
  return a.magnitude_bits() + b.magnitude_bits() + ceil_log2(std::max<std::int64_t>(call.a.depth(), 1)) < 63;
}

// Parts are below 2^31 and count at most 2^45 each: below 2^76. Where fewer than 2^20 are added, no sum reaches 2^96,
// none of the roundings is off by more than 2^42, and all of them by less than 2^62. Segments hold 32 terms on average
// at least, and there are at most nine passes.
inline bool about_is_close(const GemmCall& call) { return call.a.depth() <= std::int64_t{1} << 21; }

inline bool fits_64_bits(std::uint64_t last, double about) {
  return std::abs(about - static_cast<double>(static_cast<std::int64_t>(last))) < 0x1p63;
}

inline bool all_fit_64_bits(const std::uint64_t* last, const double* about, std::int64_t count) {
  const auto upper = [](double x) { return static_cast<std::int32_t>(std::bit_cast<std::uint64_t>(x) >> 32); };
  std::int32_t most = 0;  // in the order of magnitudes
  for (std::int64_t i = 0; i < count; ++i) most = std::max(most, upper(about[i]) & INT32_MAX);
  if (most < upper(0x1p62)) return true;
  bool all = true;
  for (std::int64_t i = 0; i < count; ++i) all &= fits_64_bits(last[i], about[i]);
  return all;
}

inline int128 joined(std::uint64_t last, double about) {
  const auto word = static_cast<std::int64_t>(last);
  const double beyond = std::nearbyint((about - static_cast<double>(word)) * 0x1p-64);
  return static_cast<int128>(static_cast<uint128>(static_cast<std::int64_t>(beyond)) << 64) + word;
}

}  // namespace fxsim::exact
