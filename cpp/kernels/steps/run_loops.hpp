// The runs of Runs, in vectors. Ops gives an instruction set's vector of 32-bit lanes and its few operations. Internal
// linkage, as lanes.hpp.
#pragma once

#include <cstdint>

#include "kernels/isa/runs.hpp"

namespace fxsim::isa {
namespace {

// A rule in vectors.
template <class Ops, RunRounding kRounding, RunLimit kLimit, bool kCount>
struct RunSettler {
  using Vector = typename Ops::Vector;
  static constexpr bool kDrawn = kRounding == kRunDraws || kRounding == kRunDrawsOdd;
  static constexpr bool kExact = kRounding == kRunExact;
  static constexpr bool kScaled = kLimit == kRunEnds;
  static constexpr int kMost = kRounding == kRunDrawsOdd && Ops::kMost < 4 ? 1 : Ops::kMost;  // sixteens at once

  Vector base, negative, odd, odd_bit, keep, lowest, highest, mask;
  typename Ops::Counts counts = Ops::no_counts();

  explicit RunSettler(const LaneRule& rule)
      : base(Ops::broadcast(static_cast<std::int32_t>(rule.base))),
        negative(Ops::broadcast(static_cast<std::int32_t>(rule.negative))),
        odd(Ops::broadcast(static_cast<std::int32_t>(rule.odd))),
        odd_bit(Ops::broadcast(static_cast<std::int32_t>(rule.odd_bit))),
        keep(Ops::broadcast(static_cast<std::int32_t>(rule.keep))),
        lowest(Ops::broadcast(static_cast<std::int32_t>(rule.lowest))),
        highest(Ops::broadcast(static_cast<std::int32_t>(rule.highest))),
        mask(Ops::broadcast(static_cast<std::int32_t>((std::uint32_t{1} << rule.wrapped_bits) - 1))) {}

  // sum + a * b, as the register adds.
  [[gnu::always_inline]] static Vector plus(Vector sum, Vector a, Vector b) {
    if constexpr (kLimit == kRunEnds) {
      return Ops::multiply_saturate(sum, a, b);
    } else {
      return Ops::multiply_add(sum, a, b);
    }
  }

  // The register after a step to `sum`, and a * b of random bits.
  [[gnu::always_inline]] Vector settled(Vector sum, Vector a, Vector b) {
    Vector rounded = sum;
    if constexpr (kRounding != kRunExact && kRounding != kRunDraws) rounded = Ops::add(sum, base);
    if constexpr (kRounding == kRunSigned) rounded = Ops::add_where_negative(rounded, sum, negative);
    if constexpr (kRounding == kRunOdd || kRounding == kRunDrawsOdd) {
      rounded = Ops::add_where_bit(rounded, sum, odd_bit, odd);
    }
    if constexpr (kDrawn) rounded = plus(rounded, a, b);
    if constexpr (kRounding != kRunExact) rounded = Ops::both(rounded, keep);
    const Vector kept = limited(rounded);
    if constexpr (kCount) counts = Ops::count_changed(counts, rounded, kept);
    return kept;
  }

  [[gnu::always_inline]] Vector limited(Vector v) const {
    if constexpr (kLimit == kRunEnds) return v;
    if constexpr (kLimit == kRunWrap) return Ops::add(Ops::both(Ops::subtract(v, lowest), mask), lowest);
    const Vector within = Ops::smaller(Ops::larger(v, lowest), highest);
    return kLimit == kRunZero ? Ops::where_equal(within, v) : within;
  }
};

// The draws of some sixteens from `field` on, which is even where they are two or more.
template <class Ops>
struct RunFields {
  using Vector = typename Ops::Vector;
  static constexpr int kParts = static_cast<int>(kSixteen) / Ops::kLanes;

  const std::int32_t* draws;
  std::int64_t stride;
  Vector own[2];  // by which random bits are multiplied: those of the first sixteen, and of the second

  RunFields(const RunCall& call, std::int64_t field)
      : draws(call.draws + field / 2 * kSixteen),
        stride(call.draw_stride),
        own{multiplier(call, field % 2), multiplier(call, 1 - field % 2)} {}

  static Vector multiplier(const RunCall& call, std::int64_t odd) {
    return Ops::broadcast(std::int32_t{1} << (call.rule->draw_left + 16 * static_cast<int>(odd)));
  }
  [[gnu::always_inline]] Vector bits(int vector) const {
    return Ops::load(draws + vector / kParts / 2 * kSixteen + vector % kParts * Ops::kLanes);
  }
  [[gnu::always_inline]] Vector multiplier(int vector) const { return own[vector / kParts % 2]; }
};

// kSixteens from `at` on step by step. kMultiply: products are what enters.
template <class Ops, bool kMultiply, int kSixteens, class Settler>
[[gnu::always_inline]] inline void step_sixteens(const RunCall& call, Settler& settler, std::int64_t at) {
  using Vector = typename Ops::Vector;
  constexpr int kVectors = kSixteens * RunFields<Ops>::kParts;
  RunFields<Ops> fields(call, call.first_field + at);
  std::int32_t* held = call.held + at * kSixteen;
  const std::int32_t* entering = (kMultiply ? call.b : call.entering) + at * kSixteen;
  const std::int64_t stride = kMultiply ? call.b_stride : call.sixteens * kSixteen;
  const Vector factor = Ops::broadcast(call.factor);
  Vector lane[kVectors];
#pragma GCC unroll 16
  for (int j = 0; j < kVectors; ++j) lane[j] = Ops::load(held + j * Ops::kLanes);
  for (std::int64_t k = 0; k < call.depth; ++k) {
    const Vector a = kMultiply ? Ops::broadcast(call.a[k]) : factor;
#pragma GCC unroll 16
    for (int j = 0; j < kVectors; ++j) {
      const Vector enters = Ops::load(entering + j * Ops::kLanes);
      Vector sum;
      if constexpr (kMultiply || Settler::kScaled) {
        sum = Settler::plus(lane[j], a, enters);
      } else {
        sum = Ops::add(lane[j], enters);
      }
      if constexpr (Settler::kDrawn) {
        lane[j] = settler.settled(sum, fields.multiplier(j), fields.bits(j));
      } else {
        lane[j] = settler.settled(sum, sum, sum);
      }
    }
    entering += stride;
    fields.draws += fields.stride;
  }
#pragma GCC unroll 16
  for (int j = 0; j < kVectors; ++j) Ops::store(held + j * Ops::kLanes, lane[j]);
}

// kSixteens from `at` on, each product by itself.
template <class Ops, int kSixteens, class Settler>
[[gnu::always_inline]] inline void settle_sixteens(const RunCall& call, Settler& settler, std::int64_t at) {
  using Vector = typename Ops::Vector;
  constexpr int kVectors = kSixteens * RunFields<Ops>::kParts;
  RunFields<Ops> fields(call, call.first_field + at);
  const Vector drop = Ops::broadcast(call.rule->drop);
  const std::int32_t* b = call.b + at * kSixteen;
  std::int32_t* entering = call.entering + at * kSixteen;
  for (std::int64_t k = 0; k < call.depth; ++k) {
    const Vector a = Ops::broadcast(call.a[k]);
#pragma GCC unroll 16
    for (int j = 0; j < kVectors; ++j) {
      const Vector product = Ops::multiply(a, Ops::load(b + j * Ops::kLanes));
      Vector kept;
      if constexpr (Settler::kDrawn) {
        kept = settler.settled(product, fields.multiplier(j), fields.bits(j));
      } else {
        kept = settler.settled(product, product, product);
      }
      Ops::store(entering + j * Ops::kLanes, Settler::kExact ? kept : Ops::right(kept, drop));
    }
    b += call.b_stride;
    entering += call.sixteens * kSixteen;
    fields.draws += fields.stride;
  }
}

// Calls take<n>(at) for all sixteens of a call, as many at once as there are registers for; those of two or more begin
// with an even field, where bits are drawn.
template <class Settler, class Take>
[[gnu::always_inline]] inline void in_pieces(const RunCall& call, const Take& take) {
  std::int64_t at = 0;
  constexpr int kMost = Settler::kMost;
  if (Settler::kDrawn && call.first_field % 2 != 0) take.template operator()<1>(at++);
  for (; call.sixteens - at >= kMost; at += kMost) take.template operator()<kMost>(at);
  if constexpr (kMost > 4) {
    if (call.sixteens - at >= 4) {
      take.template operator()<4>(at);
      at += 4;
    }
  }
  if constexpr (kMost > 2) {
    if (call.sixteens - at >= 2) {
      take.template operator()<2>(at);
      at += 2;
    }
  }
  if (kMost > 1 && call.sixteens - at >= 1) take.template operator()<1>(at);
}

template <class Ops, RunRounding kRounding, RunLimit kLimit, bool kCount, bool kMultiply>
std::int64_t run_steps(const RunCall& call) {
  using Settler = RunSettler<Ops, kRounding, kLimit, kCount>;
  Settler settler(*call.rule);
  in_pieces<Settler>(
      call, [&]<int kSixteens>(std::int64_t at)
                __attribute__((always_inline)) { step_sixteens<Ops, kMultiply, kSixteens>(call, settler, at); });
  return kCount ? Ops::total(settler.counts, call.depth * call.sixteens * kSixteen) : 0;
}

template <class Ops, RunRounding kRounding, RunLimit kLimit, bool kCount>
std::int64_t run_settle(const RunCall& call) {
  using Settler = RunSettler<Ops, kRounding, kLimit, kCount>;
  Settler settler(*call.rule);
  in_pieces<Settler>(
      call, [&]<int kSixteens>(std::int64_t at)
                __attribute__((always_inline)) { settle_sixteens<Ops, kSixteens>(call, settler, at); });
  return kCount ? Ops::total(settler.counts, call.depth * call.sixteens * kSixteen) : 0;
}

template <class Ops, RunRounding kRounding, RunLimit kLimit, bool kCount>
constexpr void fill_runs(Runs& runs) {
  runs.settle[kRounding][kLimit][kCount] = &run_settle<Ops, kRounding, kLimit, kCount>;
  runs.step[0][kRounding][kLimit][kCount] = &run_steps<Ops, kRounding, kLimit, kCount, false>;
  runs.step[1][kRounding][kLimit][kCount] = &run_steps<Ops, kRounding, kLimit, kCount, true>;
}

template <class Ops, RunRounding kRounding>
constexpr void fill_run_limits(Runs& runs) {
  fill_runs<Ops, kRounding, kRunClamp, false>(runs);
  fill_runs<Ops, kRounding, kRunClamp, true>(runs);
  fill_runs<Ops, kRounding, kRunZero, false>(runs);
  fill_runs<Ops, kRounding, kRunZero, true>(runs);
  fill_runs<Ops, kRounding, kRunWrap, false>(runs);
  fill_runs<Ops, kRounding, kRunWrap, true>(runs);
}

template <class Ops>
constexpr Runs make_runs(void (*draws)(const DrawCall&)) {
  Runs runs{};
  runs.draws = draws;
  fill_run_limits<Ops, kRunExact>(runs);
  fill_run_limits<Ops, kRunBase>(runs);
  fill_run_limits<Ops, kRunSigned>(runs);
  fill_run_limits<Ops, kRunOdd>(runs);
  fill_run_limits<Ops, kRunDraws>(runs);
  fill_run_limits<Ops, kRunDrawsOdd>(runs);
  runs.ends = Ops::kSaturates;
  if constexpr (Ops::kSaturates) {
    runs.step[0][kRunExact][kRunEnds][0] = &run_steps<Ops, kRunExact, kRunEnds, false, false>;
    runs.step[0][kRunDraws][kRunEnds][0] = &run_steps<Ops, kRunDraws, kRunEnds, false, false>;
    runs.step[1][kRunDraws][kRunEnds][0] = &run_steps<Ops, kRunDraws, kRunEnds, false, true>;
  }
  return runs;
}

}  // namespace
}  // namespace fxsim::isa
