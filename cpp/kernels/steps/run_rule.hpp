// Which accumulators the kernels of Runs take, and a register as they take it.
//
// They multiply 16-bit words, the random bits among them: a register that drops t bits sees at most t of U's r, times
// 2^(t - r) where r are fewer.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/generic/sequence.hpp"
#include "kernels/generic/width.hpp"
#include "kernels/isa/runs.hpp"
#include "kernels/steps/lane_rule.hpp"

namespace fxsim::steps {

// Bits of the widest sum of a call's registers: that of two parts with a spare bit, which the addend of a rounding
// never needs: what is held is a multiple of 2^t at least 2^t below its bound, and a register's own 2^t is counted in.
inline int step_width(const GemmCall& call) {
  GemmCall steps = call;
  steps.bias = nullptr;
  return generic::width_needed(steps);
}

struct RunRule {
  isa::LaneRule lanes;
  isa::RunRounding rounding = isa::kRunExact;
  isa::RunLimit limit = isa::kRunClamp;
  bool draws = false;
  int fields = 0;  // of a random block
  int kept = 0;    // bits of U that the register sees
  bool error = false;
};

template <class I>
RunRule run_rule(const generic::Register<I>& reg) {
  RunRule rule;
  if (reg.exact) return rule;
  const Quantizer& q = reg.quantizer;
  const int drop = -reg.scale;
  rule.lanes = lane_rule(q, drop);
  constexpr isa::RunLimit kLimits[isa::kLaneLimits] = {isa::kRunClamp, isa::kRunZero, isa::kRunWrap};
  rule.limit = kLimits[lane_limit(q)];
  rule.error = q.error;
  if (drop == 0) return rule;
  if (q.stochastic) {
    rule.rounding = rule.lanes.base == 0 && rule.lanes.odd == 0 ? isa::kRunDraws : isa::kRunDrawsOdd;
    rule.draws = true;
    rule.fields = philox_fields(q.random_bits);
    rule.kept = std::min<int>(q.random_bits, drop);
  } else if (rule.lanes.negative != 0) {
    rule.rounding = isa::kRunSigned;
  } else {
    rule.rounding = rule.lanes.odd != 0 ? isa::kRunOdd : isa::kRunBase;
  }
  return rule;
}

inline constexpr int kRunWord = 15;  // bits of a signed word besides the sign

// How a call's products are made and enter.
struct RunScale {
  int rows = 0, columns = 0;  // words are multiplied by 2^this
  int entering = 0;           // so is what a register of products leaves
};

template <class I>
RunScale run_scale(const generic::Registers<I>& registers) {
  return {.rows = registers.product.exact ? registers.inner.enter_shift : registers.product.enter_shift};
}

inline bool runs_fit(const GemmCall& call) {
  const Accumulator& acc = call.accumulator;
  if (!acc.inner || acc.at_end || acc.lanes != 1 || acc.chunk > 0) return false;
  if (step_width(call) > 32) return false;
  const generic::Registers<std::int64_t> registers(call);
  if (!registers.product.exact && registers.inner.enter_shift != 0) return false;
  if (call.a.format.magnitude_bits() + run_scale(registers).rows > kRunWord) return false;
  if (call.b.format.magnitude_bits() > kRunWord) return false;
  const auto draws_fit = [](const RunRule& rule) {
    return !rule.draws || (rule.kept <= kRunWord && rule.lanes.draw_left < kRunWord);
  };
  return draws_fit(run_rule(registers.product)) && draws_fit(run_rule(registers.inner));
}

// Scales lanes so that the ends of the register are their own, where its steps allow it. A sum beyond an end then stays
// at it, and random bits, fewer than the register drops, lead from the upper end no further and from the lower end to
// nothing that is kept.
template <class I>
void scale_to_ends(const GemmCall& call, const generic::Registers<I>& registers, RunRule& rule, RunScale& scale) {
  const Quantizer& q = registers.inner.quantizer;
  const bool steps = rule.rounding == isa::kRunDraws || (rule.rounding == isa::kRunExact && call.accumulator.product);
  if (call.count || rule.error || !steps || rule.limit != isa::kRunClamp || !q.format.is_signed || q.symmetric) return;
  const int shift = 32 - q.format.wl - rule.lanes.drop;
  if (shift < 0 || (rule.draws && rule.lanes.draw_left + shift >= kRunWord)) return;
  if (registers.product.exact) {
    const int rows = std::min(shift, kRunWord - scale.rows - call.a.format.magnitude_bits());
    if (shift - rows > kRunWord - call.b.format.magnitude_bits()) return;
    scale.rows += rows;
    scale.columns = shift - rows;
  } else {
    if (shift >= kRunWord || registers.product.quantizer.format.magnitude_bits() > kRunWord) return;
    scale.entering = shift;
  }
  rule.limit = isa::kRunEnds;
  rule.lanes.keep *= std::int64_t{1} << shift;
  rule.lanes.drop += shift;
  rule.lanes.draw_left += shift;
}

}  // namespace fxsim::steps
