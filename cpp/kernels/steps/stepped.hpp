// Chooses how the steps of a call are taken, the fastest way that its formats allow first. All give the same bits.
#pragma once

#include "kernels/generic/clamp_gemm.hpp"
#include "kernels/generic/step_gemm.hpp"
#include "kernels/steps/byte_gemm.hpp"
#include "kernels/steps/float_gemm.hpp"
#include "kernels/steps/lane_gemm.hpp"
#include "kernels/steps/run_gemm.hpp"
#include "kernels/steps/word_gemm.hpp"

namespace fxsim::steps {

template <class I>
Events stepped(const GemmCall& call, const isa::Kernels& kernels) {
  const isa::Steps& steps = *kernels.steps;
  if (const auto rule = byte_rule(call, steps)) return ByteGemm<I>(call, kernels, *rule).run();
  if (const auto rule = pair_rule(call, steps)) return WordGemm<I>(call, kernels, *rule).run();
  if (steps.floats != nullptr) {
    if (const auto rule = float_rule<float>(call))
      return FloatGemm<float, I>(call, kernels, *steps.floats, *rule).run();
  }
  if (steps.doubles != nullptr) {
    if (const auto rule = float_rule<double>(call)) {
      return FloatGemm<double, I>(call, kernels, *steps.doubles, *rule).run();
    }
  }
  if (generic::clamp_steps_fit(call, kernels)) return generic::clamp_gemm<I>(call, kernels);
  if (steps.runs != nullptr && runs_fit(call)) {
    RunGemm<I> runs(call, kernels, *steps.runs);
    const Events events = runs.run();
    if (!runs.refuses(events)) return events;
  }
  if (!lanes_fit(call)) return generic::step_gemm<I>(call, kernels);
  if (step_width(call) <= 32) return LaneGemm<std::int32_t, I>(call, kernels, *steps.lanes).run();
  return LaneGemm<std::int64_t, I>(call, kernels, *steps.wide_lanes).run();
}

}  // namespace fxsim::steps
