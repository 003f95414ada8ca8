// A register of a tile of outputs in vector lanes: what enters it, group by group, and its steps.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/generic/sequence.hpp"
#include "kernels/steps/events.hpp"
#include "kernels/steps/lane_rule.hpp"
#include "numbers/aligned.hpp"

namespace fxsim::steps {

// A tile under way: what it needs of the call, and the place of its outputs.
template <class Lane>
struct LaneTile {
  const GemmCall& call;
  const isa::Kernels& kernels;
  const isa::LaneSteps<Lane>& steps;
  std::int64_t rows = 0;
  std::int64_t cols = 0;  // padded
  Tile outputs;
  LineVector<std::uint32_t> u;
  LineVector<Lane> zeros;
  Events* events = nullptr;

  std::int64_t size() const { return rows * cols; }
};

// A register in lanes: generic::Register and generic::Stage in one.
template <class Lane>
class LaneStage {
 public:
  template <class I>
  LaneStage(const generic::Register<I>& reg, LaneTile<Lane>& tile, std::int64_t Events::*overflows)
      : tile_(tile), overflows_(overflows) {
    const auto size = static_cast<std::size_t>(tile.size());
    held_.assign(size, 0);
    pending_.assign(size, 0);
    exact_ = reg.exact;
    if (exact_) return;
    at_end_ = reg.at_end;
    lanes_ = reg.lanes;
    enter_shift_ = reg.enter_shift;
    site_ = reg.site;
    quantizer_ = reg.quantizer;
    rule_ = lane_rule(reg.quantizer, -reg.scale);  // a register that drops bits holds them as zeros
    rounding_ = lane_rounding(rule_, draws());
    limit_ = lane_limit(reg.quantizer);
  }

  // Where the sum starts and is found: acc itself, as finish() leaves it.
  Lane* acc() { return held_.data(); }

  void start_from_acc() {
    if (rule_.drop > 0) tile_.steps.align(held_.data(), tile_.size(), 0, rule_.drop, false, held_.data());
    waiting_ = 0;
  }

  void start_from_zero() {
    std::fill(held_.begin(), held_.end(), 0);
    waiting_ = 0;
  }

  void add_products(const std::int32_t* a, std::int64_t a_stride, const std::int32_t* b) {
    isa::LaneCall<Lane> call = lane_call(a, a_stride, b);
    if (steps_at_once()) {
      draw(call);
      tile_.events->*overflows_ += tile_.steps.step[rounding_][limit_][counts()](call);
      ++steps_;
      return;
    }
    tile_.steps.products(call, waiting_ > 0, pending_.data());
    ++waiting_;
    step_if_full();
  }

  void add(const Lane* terms) {
    if (steps_at_once() && enter_shift_ == 0) {
      step(terms);
      return;
    }
    tile_.steps.align(terms, tile_.size(), 0, enter_shift_, waiting_ > 0, pending_.data());
    ++waiting_;
    step_if_full();
  }

  // acc, the sum of what was added since the start.
  const Lane* finish() {
    if (exact_) {
      if (waiting_ > 0) tile_.steps.align(pending_.data(), tile_.size(), 0, 0, true, held_.data());
    } else if (waiting_ > 0) {
      step(pending_.data());
    } else if (at_end_) {
      step(tile_.zeros.data());
    }
    if (rule_.drop > 0) tile_.steps.align(held_.data(), tile_.size(), rule_.drop, 0, false, held_.data());
    waiting_ = 0;
    return held_.data();
  }

  // Products by themselves rounded into the register, as step `ordinal`.
  const Lane* settle_products(const std::int32_t* a, std::int64_t a_stride, const std::int32_t* b,
                              std::int64_t ordinal) {
    steps_ = ordinal;
    isa::LaneCall<Lane> call = lane_call(a, a_stride, b);
    draw(call);
    tile_.events->*overflows_ += tile_.steps.fresh[rounding_][limit_](call);
    return held_.data();
  }

 private:
  // A stochastic register draws for every value, and needs the bits where it drops some.
  bool draws() const { return quantizer_.stochastic && rule_.drop > 0; }

  void draw(isa::LaneCall<Lane>& call) {
    const Tile& outputs = tile_.outputs;
    if (quantizer_.stochastic) tile_.events->random_draws += outputs.size();
    if (!draws()) return;
    for (std::int64_t r = 0; r < outputs.rows; ++r) {
      fill_random_bits(tile_.call.key, outputs.index(tile_.call, r * outputs.cols), outputs.cols,
                       quantizer_.random_bits, site_, steps_, tile_.u.data() + r * tile_.cols, tile_.kernels.philox);
    }
    call.u = tile_.u.data();
  }

  bool counts() const { return tile_.call.count || quantizer_.error; }

  bool steps_at_once() const { return !exact_ && !at_end_ && lanes_ == 1; }

  void step_if_full() {
    if (!exact_ && !at_end_ && waiting_ == lanes_) step(pending_.data());
  }

  void step(const Lane* entering) {
    isa::LaneCall<Lane> call = lane_call(nullptr, 0, nullptr);
    call.pending = entering;
    draw(call);
    tile_.events->*overflows_ += tile_.steps.settle[rounding_][limit_](call);
    ++steps_;
    waiting_ = 0;
  }

  isa::LaneCall<Lane> lane_call(const std::int32_t* a, std::int64_t a_stride, const std::int32_t* b) {
    isa::LaneCall<Lane> call;
    call.rule = &rule_;
    call.rows = tile_.rows;
    call.cols = tile_.cols;
    call.a = a;
    call.a_stride = a_stride;
    call.b = b;
    call.held = held_.data();
    call.enter_shift = enter_shift_;
    return call;
  }

  LaneTile<Lane>& tile_;
  std::int64_t Events::*overflows_;
  LineVector<Lane> held_, pending_;
  bool exact_ = true;
  bool at_end_ = false;
  std::int64_t lanes_ = 1;
  int enter_shift_ = 0;
  Site site_ = Site::kStep;
  Quantizer quantizer_;
  isa::LaneRule rule_;
  isa::LaneRounding rounding_ = isa::kBaseOnly;
  isa::LaneLimit limit_ = isa::kClamp;
  std::int64_t waiting_ = 0;
  std::int64_t steps_ = 0;
};

}  // namespace fxsim::steps
