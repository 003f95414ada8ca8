// A register as the lane kernels take it: its rounding as what is added before t bits are dropped.
//
// Every rounding is floor((s + c) / 2^t), which times 2^t is the sum without its last t bits, for some 0 <= c < 2^t
// that depends on the sign of s, on one of its bits and on the random integer U. With h = 2^(t - 1), stepping up when
// the fraction is at least 1/2 is c = h, and c = h - 1 where ties stay; what a mode asks of ties moves c by one.
// Stochastic rounding adds U to the first r bits of the fraction: c = U * 2^(t - r), or floor(U / 2^(r - t)) where
// fewer are dropped, which carries exactly if U does; its tails round the bits below those r first, by c' = h' or h' -
// 1 as above with h' = 2^(t - r - 1).
#pragma once

#include <cstdint>
#include <tuple>

#include "kernels/isa/steps.hpp"
#include "rounding/quantizer.hpp"

namespace fxsim::steps {

struct Addend {
  std::int64_t base = 0, negative = 0, odd = 0;
  int odd_bit = 0;
};

// For t dropped bits, t >= 1; for stochastic tails, of the bits below the first r.
constexpr std::int64_t half_of(int t) { return std::int64_t{1} << (t - 1); }
constexpr std::int64_t below(int t) { return (std::int64_t{1} << t) - 1; }

constexpr Addend addend(const Floor&, int) { return {}; }
constexpr Addend addend(const Ceil&, int t) { return {.base = below(t)}; }
constexpr Addend addend(const TowardZero&, int t) { return {.negative = below(t)}; }
constexpr Addend addend(const AwayFromZero&, int t) { return {.base = below(t), .negative = -below(t)}; }
constexpr Addend addend(const NearestUp&, int t) { return {.base = half_of(t)}; }
constexpr Addend addend(const NearestDown&, int t) { return {.base = half_of(t) - 1}; }
constexpr Addend addend(const NearestZero&, int t) { return {.base = half_of(t) - 1, .negative = 1}; }
constexpr Addend addend(const NearestAway&, int t) { return {.base = half_of(t), .negative = -1}; }
constexpr Addend addend(const NearestEven&, int t) { return {.base = half_of(t) - 1, .odd = 1, .odd_bit = t}; }
constexpr Addend addend(const NearestOdd&, int t) { return {.base = half_of(t), .odd = -1, .odd_bit = t}; }
constexpr Addend addend(const StochasticTruncate&, int) { return {}; }
constexpr Addend addend(const StochasticHalf&, int t) { return {.base = half_of(t)}; }
constexpr Addend addend(const StochasticNearestEven&, int t) { return addend(NearestEven{}, t); }

// t bits are dropped; the word length and they fit 63 bits.
inline isa::LaneRule lane_rule(const Quantizer& q, int t) {
  isa::LaneRule rule;
  const std::int64_t step = std::int64_t{1} << t;
  rule.lowest = q.lowest() * step;
  rule.highest = q.format.raw_max() * step;
  rule.keep = -step;
  rule.drop = t;
  rule.wrapped_bits = q.format.wl + t;
  rule.is_signed = q.format.is_signed;
  if (t == 0) return rule;
  const int r = q.random_bits;
  const int rounded = q.stochastic ? t - r : t;  // bits that the addend rounds
  if (q.stochastic) {
    rule.draw_left = t > r ? t - r : 0;
    rule.draw_right = t < r ? r - t : 0;
  }
  if (rounded <= 0) return rule;
  const auto choose = [&]<class... R>(const std::tuple<R...>*) {
    Addend chosen;
    std::uint8_t index = 0;
    ((index++ == q.rounding ? void(chosen = addend(R{}, rounded)) : void()), ...);
    return chosen;
  };
  const Addend chosen = choose(static_cast<const Roundings*>(nullptr));
  rule.base = chosen.base;
  rule.negative = chosen.negative;
  rule.odd = chosen.odd;
  rule.odd_bit = chosen.odd == 0 ? 0 : std::int64_t{1} << chosen.odd_bit;
  return rule;
}

inline isa::LaneRounding lane_rounding(const isa::LaneRule& rule, bool draws) {
  if (draws) return isa::kDraws;
  if (rule.negative != 0) return isa::kSigned;
  return rule.odd != 0 ? isa::kOdd : isa::kBaseOnly;
}

// `error` clamps meanwhile: what it stores is never seen.
inline isa::LaneLimit lane_limit(const Quantizer& q) {
  if (q.wraps) return isa::kWrap;
  return q.overflow == *find_overflow(SaturateZero::name) ? isa::kZero : isa::kClamp;
}

}  // namespace fxsim::steps
