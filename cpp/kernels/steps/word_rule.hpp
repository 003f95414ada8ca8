// How a clamping register lies in 32-bit lanes whose addition saturates.
//
// A lane holds acc * 2^s + offset. Where the register is signed and 32 - s bits wide, the lane's ends are the
// register's own: with offset 0, acc + p > highest means (acc + p) * 2^s >= 2^31, which saturates to a lane whose floor
// is highest; below lowest the same; and the s bits below the floor, whatever saturation left there, never carry into
// it. Elsewhere the offset lays highest on the upper end, 2^31 - 1, and a maximum with the lane of lowest clamps below.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "kernels/api.hpp"

namespace fxsim::steps {

struct WordRule {
  int row_shift = 0;
  int col_shift = 0;
  bool use_lowest = false;
  std::int32_t offset = 0;
  std::int32_t lowest = 0;  // of a lane

  int shift() const { return row_shift + col_shift; }
};

inline constexpr int kWordBits = 15;  // of magnitude

// One product a step into a register that saturates.
inline bool clamps_steps(const GemmCall& call) {
  const Accumulator& acc = call.accumulator;
  if (acc.product || !acc.inner || acc.chunk > 0 || acc.at_end || acc.lanes != 1) return false;
  return acc.inner->overflow == *find_overflow(Saturate::name) || acc.inner->symmetric;
}

// The same, with nothing to shift and no bit dropped.
inline bool clamps_products(const GemmCall& call) {
  return clamps_steps(call) && call.accumulator.inner->format.fl == call.a.format.fl + call.b.format.fl;
}

// Rows of magnitude 2^row_bits against columns whose words are shifted by least to most; nullopt: no lane holds the
// register so.
inline std::optional<WordRule> word_rule(const Quantizer& q, int row_bits, int least, int most) {
  const int row_room = kWordBits - row_bits;
  if (row_room < 0 || most < least) return std::nullopt;
  const int natural = 32 - q.format.wl;
  WordRule rule;
  if (q.format.is_signed && !q.symmetric && natural >= least && natural - most <= row_room) {
    rule.row_shift = std::min(natural - least, row_room);
    rule.col_shift = natural - rule.row_shift;
    return rule;
  }
  if (q.format.magnitude_bits() + least > 31) return std::nullopt;
  rule.col_shift = least;
  rule.use_lowest = true;
  const std::int64_t top = (std::int64_t{1} << 31) - 1;
  const std::int64_t range = (q.format.raw_max() - q.lowest()) << least;
  rule.offset = static_cast<std::int32_t>(top - (q.format.raw_max() << least));
  rule.lowest = static_cast<std::int32_t>(top - range);
  return rule;
}

}  // namespace fxsim::steps
