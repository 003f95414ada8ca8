// Any accumulator whose sums fit 64 bits, in vector lanes: products, product register, lanes, accumulator, chunks and
// outer accumulator in the order of generic::accumulate, for a tile of outputs at a time. All outputs take the same
// steps at the same k, so that only the numbers differ between lanes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/generic/finish.hpp"
#include "kernels/generic/gather.hpp"
#include "kernels/generic/sequence.hpp"
#include "kernels/parallel.hpp"
#include "kernels/steps/events.hpp"
#include "kernels/steps/lane_stage.hpp"
#include "kernels/steps/run_rule.hpp"
#include "numbers/aligned.hpp"

namespace fxsim::steps {

inline bool lanes_fit(const GemmCall& call) {
  const auto word = [](const Format& f) { return f.wl <= (f.is_signed ? 32 : 31); };
  return word(call.a.format) && word(call.b.format) && step_width(call) <= 64;
}

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
