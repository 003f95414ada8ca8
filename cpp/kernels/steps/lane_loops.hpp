// The steps of LaneSteps as loops without a branch, which compilers turn into vector code of the instruction set they
// are told. Internal linkage, as lanes.hpp.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/isa/steps.hpp"

namespace fxsim::isa {
namespace {

template <class Lane>
using Bits = std::conditional_t<sizeof(Lane) == 4, std::uint32_t, std::uint64_t>;

template <class Lane>
[[gnu::always_inline]] inline Lane shifted_left(Lane value, int shift) {
  return static_cast<Lane>(static_cast<Bits<Lane>>(value) << shift);
}

// floor(value / 2^shift). Few instruction sets shift 64-bit lanes arithmetically, so those are raised by 2^63 first.
template <class Lane>
[[gnu::always_inline]] inline Lane shifted_right(Lane value, int shift) {
  if constexpr (sizeof(Lane) == 4) {
    return value >> shift;
  } else {
    constexpr std::uint64_t kRaise = std::uint64_t{1} << 63;
    return static_cast<Lane>(((static_cast<std::uint64_t>(value) ^ kRaise) >> shift) - (kRaise >> shift));
  }
}

// a * b * 2^shift. A product of 32-bit lanes fits them, and so does a * 2^shift then: b has a bit at least.
template <class Lane>
struct Factor {
  std::int32_t a;
  int shift;

  [[gnu::always_inline]] Factor(const LaneCall<Lane>& call, std::int64_t row)
      : a(call.a[row * call.a_stride]), shift(call.enter_shift) {
    if constexpr (sizeof(Lane) == 4) a = shifted_left(a, shift);
  }
  [[gnu::always_inline]] Lane times(std::int32_t b) const {
    if constexpr (sizeof(Lane) == 4) {
      return static_cast<Lane>(static_cast<std::uint32_t>(a) * static_cast<std::uint32_t>(b));
    } else {
      return shifted_left(static_cast<Lane>(a) * static_cast<Lane>(b), shift);
    }
  }
};

// A rule in the lane's own type.
template <class Lane, LaneRounding kRounding, LaneLimit kLimit>
struct Settler {
  Lane base, negative, odd, odd_bit, keep, lowest, highest;
  int draw_left, draw_right, unused_bits;
  bool is_signed;

  explicit Settler(const LaneRule& rule)
      : base(static_cast<Lane>(rule.base)),
        negative(static_cast<Lane>(rule.negative)),
        odd(static_cast<Lane>(rule.odd)),
        odd_bit(static_cast<Lane>(rule.odd_bit)),
        keep(static_cast<Lane>(rule.keep)),
        lowest(static_cast<Lane>(rule.lowest)),
        highest(static_cast<Lane>(rule.highest)),
        draw_left(rule.draw_left),
        draw_right(rule.draw_right),
        unused_bits(static_cast<int>(8 * sizeof(Lane)) - rule.wrapped_bits),
        is_signed(rule.is_signed) {}

  [[gnu::always_inline]] Lane rounded(Lane sum, std::uint32_t u) const {
    Lane raised = sum + base;
    if constexpr (kRounding == kSigned) raised += sum < 0 ? negative : 0;
    if constexpr (kRounding == kOdd || kRounding == kDraws) raised += (sum & odd_bit) != 0 ? odd : 0;
    if constexpr (kRounding == kDraws) {
      raised += static_cast<Lane>(static_cast<Bits<Lane>>(u) << draw_left >> draw_right);
    }
    return raised & keep;
  }

  [[gnu::always_inline]] Lane limited(Lane value) const {
    if constexpr (kLimit == kClamp) {
      const Lane raised = value < lowest ? lowest : value;
      return raised > highest ? highest : raised;
    } else if constexpr (kLimit == kZero) {
      return (value < lowest) | (value > highest) ? 0 : value;
    } else {
      const Lane up = shifted_left(value, unused_bits);
      return is_signed ? shifted_right(up, unused_bits) : static_cast<Lane>(static_cast<Bits<Lane>>(up) >> unused_bits);
    }
  }
};

enum LaneSource : std::uint8_t { kAddProducts, kAddPending, kFreshProducts };

template <class Lane, LaneRounding kRounding, LaneLimit kLimit, LaneSource kSource, bool kCount>
std::int64_t step_lanes(const LaneCall<Lane>& call) {
  const Settler<Lane, kRounding, kLimit> settler(*call.rule);
  const std::int64_t cols = call.cols / kLanePadding * kLanePadding;  // says that no lane is left over
  const int drop = call.rule->drop;
  std::int64_t total = 0;
  for (std::int64_t i = 0; i < call.rows; ++i) {
    Lane* __restrict held = call.held + i * cols;
    const std::int32_t* __restrict b = call.b;
    const Lane* __restrict pending = kSource == kAddPending ? call.pending + i * cols : nullptr;
    const std::uint32_t* __restrict u = kRounding == kDraws ? call.u + i * cols : nullptr;
    Lane changed = 0;
    const auto take = [&](std::int64_t j, Lane sum) __attribute__((always_inline)) {
      std::uint32_t draw = 0;
      if constexpr (kRounding == kDraws) draw = u[j];
      const Lane rounded = settler.rounded(sum, draw);
      const Lane kept = settler.limited(rounded);
      if constexpr (kCount) changed += kept != rounded ? 1 : 0;
      held[j] = kSource == kFreshProducts ? shifted_right(kept, drop) : kept;
    };
    if constexpr (kSource == kAddPending) {
      for (std::int64_t j = 0; j < cols; ++j) take(j, held[j] + pending[j]);
    } else {
      const Factor<Lane> factor(call, i);
      for (std::int64_t j = 0; j < cols; ++j) {
        take(j, (kSource == kFreshProducts ? Lane{0} : held[j]) + factor.times(b[j]));
      }
    }
    total += changed;
  }
  return total;
}

template <class Lane>
void lane_products(const LaneCall<Lane>& call, bool add, Lane* to) {
  const std::int64_t cols = call.cols / kLanePadding * kLanePadding;
  const Lane keep = add ? -1 : 0;
  for (std::int64_t i = 0; i < call.rows; ++i) {
    Lane* __restrict out = to + i * cols;
    const std::int32_t* __restrict b = call.b;
    const Factor<Lane> factor(call, i);
    for (std::int64_t j = 0; j < cols; ++j) out[j] = (out[j] & keep) + factor.times(b[j]);
  }
}

template <class Lane>
void lane_align(const Lane* from, std::int64_t count, int right, int left, bool add, Lane* to) {
  const Lane keep = add ? -1 : 0;
#pragma GCC ivdep  // both may be the same array, place by place
  for (std::int64_t i = 0; i < count; ++i) {
    to[i] = (to[i] & keep) + shifted_left(shifted_right(from[i], right), left);
  }
}

template <class Lane, LaneRounding kRounding, LaneLimit kLimit>
constexpr void fill_lane_steps(LaneSteps<Lane>& steps) {
  steps.step[kRounding][kLimit][0] = &step_lanes<Lane, kRounding, kLimit, kAddProducts, false>;
  steps.step[kRounding][kLimit][1] = &step_lanes<Lane, kRounding, kLimit, kAddProducts, true>;
  steps.settle[kRounding][kLimit] = &step_lanes<Lane, kRounding, kLimit, kAddPending, true>;
  steps.fresh[kRounding][kLimit] = &step_lanes<Lane, kRounding, kLimit, kFreshProducts, true>;
}

template <class Lane, LaneRounding kRounding>
constexpr void fill_lane_limits(LaneSteps<Lane>& steps) {
  fill_lane_steps<Lane, kRounding, kClamp>(steps);
  fill_lane_steps<Lane, kRounding, kZero>(steps);
  fill_lane_steps<Lane, kRounding, kWrap>(steps);
}

template <class Lane>
constexpr LaneSteps<Lane> make_lane_steps() {
  LaneSteps<Lane> steps{};
  fill_lane_limits<Lane, kBaseOnly>(steps);
  fill_lane_limits<Lane, kSigned>(steps);
  fill_lane_limits<Lane, kOdd>(steps);
  fill_lane_limits<Lane, kDraws>(steps);
  steps.products = &lane_products<Lane>;
  steps.align = &lane_align<Lane>;
  return steps;
}

constexpr LaneSteps<std::int32_t> kLaneSteps = make_lane_steps<std::int32_t>();
constexpr LaneSteps<std::int64_t> kWideLaneSteps = make_lane_steps<std::int64_t>();

}  // namespace
}  // namespace fxsim::isa
