// Any accumulator whose sums fit 64 bits, in vector lanes: products, product register, lanes, accumulator, chunks and
// outer accumulator in the order of generic::accumulate, for a tile of outputs at a time. All outputs take the same
// steps at the same k, so that only the numbers differ between lanes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "kernels/generic/finish.hpp"
#include "kernels/generic/gather.hpp"
#include "kernels/generic/sequence.hpp"
#include "kernels/parallel.hpp"
#include "kernels/steps/events.hpp"
#include "kernels/steps/lane_rule.hpp"
#include "kernels/steps/run_rule.hpp"
#include "numbers/aligned.hpp"

namespace fxsim::steps {

inline bool lanes_fit(const GemmCall& call) {
  const auto word = [](const Format& f) { return f.wl <= (f.is_signed ? 32 : 31); };
  return word(call.a.format) && word(call.b.format) && step_width(call) <= 64;
}

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

template <class Lane, class I>
class LaneGemm {
 public:
  LaneGemm(const GemmCall& call, const isa::Kernels& kernels, const isa::LaneSteps<Lane>& steps)
      : call_(call), kernels_(kernels), steps_(steps), depth_(call.a.depth()) {
    constexpr std::int64_t kMostCols = 256;  // a group of the random bits, of up to eight
    const std::int64_t groups = std::max<std::int64_t>(ceil_div(call.out.cols, kMostCols), 1);
    width_ =
        std::max<std::int64_t>(ceil_div(ceil_div(call.out.cols, groups), isa::kLanePadding), 1) * isa::kLanePadding;
  }

  Events run() {
    constexpr std::int64_t kTile = 2048;  // outputs, with all their registers in the first cache
    const std::int64_t groups = ceil_div(call_.out.cols, width_);
    columns_.resize(static_cast<std::size_t>(groups * width_ * depth_));
    parallel_for(groups, [this](std::int64_t g) { fill_columns(g); });
    return over_row_blocks(
        call_.out.rows, std::clamp<std::int64_t>(kTile / width_, 1, 64),
        [this](std::int64_t first, std::int64_t rows, Events& events) { run_rows(first, rows, events); });
  }

 private:
  void fill_columns(std::int64_t g) {
    std::vector<std::int32_t> row(static_cast<std::size_t>(depth_));
    std::int32_t* out = columns_.data() + g * width_ * depth_;
    for (std::int64_t c = 0; c < width_; ++c) {
      const std::int64_t column = g * width_ + c;
      std::fill(row.begin(), row.end(), 0);
      if (column < call_.out.cols) generic::gather<std::int32_t>(call_.b, column, 0, depth_, 0, row.data());
      for (std::int64_t k = 0; k < depth_; ++k) out[k * width_ + c] = row[static_cast<std::size_t>(k)];
    }
  }

  void run_rows(std::int64_t first, std::int64_t rows, Events& events) const {
    std::vector<std::int32_t> panel(static_cast<std::size_t>(rows * depth_));
    for (std::int64_t r = 0; r < rows; ++r) {
      generic::gather<std::int32_t>(call_.a, first + r, 0, depth_, 0, panel.data() + r * depth_);
    }
    Outputs<I> outputs(call_, kernels_);
    LaneTile<Lane> tile{call_, kernels_, steps_, rows, width_, {}, {}, {}, &events};
    tile.u.assign(static_cast<std::size_t>(tile.size()), 0);
    tile.zeros.assign(static_cast<std::size_t>(tile.size()), 0);
    const generic::Registers<I>& registers = outputs.registers();
    for (std::int64_t left = 0; left < call_.out.cols; left += width_) {
      tile.outputs = {first, rows, left, std::min(width_, call_.out.cols - left)};
      const Events before = events;
      LaneStage<Lane> product(registers.product, tile, &Events::product_overflows);
      LaneStage<Lane> inner(registers.inner, tile, &Events::step_overflows);
      LaneStage<Lane> outer(registers.outer, tile, &Events::outer_overflows);
      LaneStage<Lane>& outermost = registers.chunk > 0 ? outer : inner;
      outputs.start(tile.outputs, outermost.acc(), width_, events);
      outermost.start_from_acc();
      accumulate(registers, panel.data(), columns_.data() + left * depth_, product, inner, outer);
      outputs.finish(tile.outputs, outermost.acc(), width_, events);
      if (may_refuse(before, events)) refuse(registers, tile.outputs, panel.data(), events);
    }
  }

  // As generic::accumulate.
  void accumulate(const generic::Registers<I>& registers, const std::int32_t* panel, const std::int32_t* columns,
                  LaneStage<Lane>& product, LaneStage<Lane>& inner, LaneStage<Lane>& outer) const {
    const bool chunked = registers.chunk > 0;
    const std::int64_t chunk = chunked ? registers.chunk : std::max<std::int64_t>(depth_, 1);
    for (std::int64_t begin = 0; begin < depth_; begin += chunk) {
      if (chunked) inner.start_from_zero();
      for (std::int64_t k = begin; k < std::min(begin + chunk, depth_); ++k) {
        const std::int32_t* b = columns + k * width_;
        if (registers.product.exact) {
          inner.add_products(panel + k, depth_, b);
        } else {
          inner.add(product.settle_products(panel + k, depth_, b, k));
        }
      }
      if (chunked) outer.add(inner.finish());
    }
    (chunked ? outer : inner).finish();
  }

  // Whether a register that reports overflows had one in this tile.
  bool may_refuse(const Events& before, const Events& after) const {
    const Accumulator& acc = call_.accumulator;
    const auto reports = [](const std::optional<Quantizer>& q) { return q && q->error; };
    return (reports(acc.product) && after.product_overflows > before.product_overflows) ||
           (reports(acc.inner) && after.step_overflows > before.step_overflows) ||
           (reports(acc.outer) && after.outer_overflows > before.outer_overflows);
  }

  // Takes the steps of a tile again, one output after the other, to find the first refused value.
  void refuse(const generic::Registers<I>& registers, const Tile& tile, const std::int32_t* panel,
              Events& events) const {
    if (events.fault.found() && events.fault.index < tile.index(call_, 0)) return;
    const std::int32_t* columns = columns_.data() + tile.n0 * depth_;
    for (std::int64_t at = 0; at < tile.size(); ++at) {
      const std::int32_t* a = panel + at / tile.cols * depth_;
      const std::int32_t* b = columns + at % tile.cols;
      const generic::Element place{tile.index(call_, at), call_.key, events};
      const I start = registers.start_value(call_.bias == nullptr ? 0 : call_.bias[tile.n0 + at % tile.cols], place);
      generic::accumulate(
          registers, [a](std::int64_t k) { return std::int64_t{a[k]}; },
          [b, this](std::int64_t k) { return std::int64_t{b[k * width_]}; }, depth_, start, place);
    }
  }

  const GemmCall& call_;
  const isa::Kernels& kernels_;
  const isa::LaneSteps<Lane>& steps_;
  std::int64_t depth_;
  std::int64_t width_ = isa::kLanePadding;
  LineVector<std::int32_t> columns_;
};

}  // namespace fxsim::steps
