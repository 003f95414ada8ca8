// How many bits the exact sums of a call can need: the choice among std::int64_t, int128 and Wide.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "kernels/api.hpp"
#include "numbers/integers.hpp"

namespace fxsim::generic {

// |value| <= 2^bits, in steps of 2^-fl.
struct Magnitude {
  int bits = 0;
  int fl = 0;
};

// One sign bit and one for the sum of two.
constexpr int kGuardBits = 2;

struct WidthBound {
  int bits = 0;  // the widest sum seen so far

  // What leaves a register, exact or not, that `terms` values of magnitude `in` enter a step at a time.
  Magnitude through(const std::optional<Quantizer>& reg, Magnitude in, std::int64_t terms, std::int64_t all) {
    if (!reg) {
      const Magnitude sum{in.bits + ceil_log2(std::max<std::int64_t>(all, 1)), in.fl};
      bits = std::max(bits, sum.bits + kGuardBits);
      return sum;
    }
    const Format& f = reg->format;
    const int fine = std::max(f.fl, in.fl);
    const int entering = in.bits + fine - in.fl + ceil_log2(std::max<std::int64_t>(terms, 1));
    bits = std::max({bits, f.magnitude_bits() + fine - f.fl + kGuardBits, entering + kGuardBits});
    return {f.magnitude_bits(), f.fl};
  }

  // The sum of what was accumulated and a bias.
  void with_bias(Magnitude in, Magnitude bias) {
    const int fine = std::max(in.fl, bias.fl);
    bits = std::max({bits, in.bits + fine - in.fl + kGuardBits, bias.bits + fine - bias.fl + kGuardBits});
  }
};

// Of the biases as they are: few words of a 64-bit array are that long.
inline Magnitude bias_magnitude(const GemmCall& call) {
  std::uint64_t all = 0;
  for (std::int64_t n = 0; n < call.out.cols; ++n) {
    const std::int64_t bias = call.bias[n];
    all |= static_cast<std::uint64_t>(bias < 0 ? ~bias : bias);
  }
  return {static_cast<int>(std::bit_width(all)), call.bias_fl};
}

inline int width_needed(const GemmCall& call) {
  const Accumulator& acc = call.accumulator;
  const std::int64_t depth = call.a.depth();
  WidthBound bound;
  Magnitude term{call.a.format.magnitude_bits() + call.b.format.magnitude_bits(), call.a.format.fl + call.b.format.fl};
  bound.bits = term.bits + kGuardBits;
  if (acc.product) term = bound.through(acc.product, term, 1, 1);
  const std::int64_t run = acc.chunk > 0 ? std::min(acc.chunk, depth) : depth;
  Magnitude sum = bound.through(acc.inner, term, acc.at_end ? run : std::min(acc.lanes, run), run);
  if (acc.chunk > 0) {
    const std::int64_t chunks = ceil_div(depth, acc.chunk);
    sum = bound.through(acc.outer, sum, acc.outer_at_end ? chunks : std::min(acc.outer_lanes, chunks), chunks);
  }
  if (call.bias != nullptr) bound.with_bias(sum, bias_magnitude(call));
  return bound.bits;
}

// Calls f with a value of the narrowest integer type of at least `bits` bits.
template <class F>
void with_width(int bits, const F& f) {
  if (bits <= 64) {
    f(std::int64_t{0});
  } else if (bits <= 128) {
    f(int128{0});
  } else {
    f(Wide{});
  }
}

}  // namespace fxsim::generic
