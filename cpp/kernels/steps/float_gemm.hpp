// Saturation after every step in floating point: any operands and registers that the significand holds.
//
// Everything is counted in steps of the register: rows are scaled by 2^(F - fl_p), exactly. The offset is chosen so
// that each state of the register is a number of T, and a fused multiply-add then rounds a * b + held once, to T.
//
// Where no bit is dropped, the offset centres the register's range: states are multiples of 1/2 up to (highest -
// lowest) / 2 < 2^(digits - 1), all of them numbers of T. A sum within the range is exact; one beyond it rounds to no
// less than the bound plus 1/2, since rounding is monotone and that is a number of T, and is clamped.
//
// Where bits are dropped to nearest even, the offset is 1.5 * 2^(digits - 1): from there to 2^(digits - 2) either way
// the spacing of T is 1, so that the multiply-add rounds to a step of the register, and ties go to even for the offset
// is even. The register reaches half as far, and sums beyond it clamp, for rounding is monotone.
//
// k is taken in stretches. By Cauchy-Schwarz the sums within one are no larger than the product of the operands' norms
// there, and each rounding moves a prefix by half a step at most: from far enough inside the register none leaves it,
// and the stretch is taken without a clamp.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "kernels/generic/gather.hpp"
#include "kernels/parallel.hpp"
#include "kernels/steps/events.hpp"
#include "kernels/steps/word_rule.hpp"
#include "numbers/aligned.hpp"

namespace fxsim::steps {

struct FloatRule {
  double offset = 0, low = 0, high = 0;  // of what is held
  bool centred = false;
  double row_scale = 1;
};

template <class T>
std::optional<FloatRule> float_rule(const GemmCall& call) {
  constexpr int kDigits = std::numeric_limits<T>::digits;
  constexpr int kMostShift = 40;  // far from where numbers of T lose bits or range: products have at most 64 bits
  if (!clamps_steps(call)) return std::nullopt;
  if (std::max(call.a.format.magnitude_bits(), call.b.format.magnitude_bits()) > kDigits) return std::nullopt;
  const Quantizer& q = *call.accumulator.inner;
  const int shift = q.format.fl - call.a.format.fl - call.b.format.fl;
  if (shift > kMostShift || shift < -kMostShift) return std::nullopt;
  const auto lowest = static_cast<double>(q.lowest());
  const auto highest = static_cast<double>(q.format.raw_max());
  FloatRule rule;
  rule.row_scale = std::ldexp(1.0, shift);
  if (shift >= 0) {
    if (q.format.wl > kDigits) return std::nullopt;
    rule.centred = true;
    rule.offset = -(highest + lowest) / 2;
    rule.high = (highest - lowest) / 2;
    rule.low = -rule.high;
    return rule;
  }
  if (q.rounding != *find_rounding(NearestEven::name, "") || q.format.magnitude_bits() > kDigits - 3) {
    return std::nullopt;
  }
  rule.offset = std::ldexp(1.5, kDigits - 1);
  rule.low = rule.offset + lowest;
  rule.high = rule.offset + highest;
  return rule;
}

template <class T, class I>
class FloatGemm {
 public:
  FloatGemm(const GemmCall& call, const isa::Kernels& kernels, const isa::FloatSteps<T>& steps, const FloatRule& rule)
      : call_(call),
        kernels_(kernels),
        steps_(steps),
        rule_(rule),
        depth_(call.a.depth()),
        row_stride_((ceil_div(depth_, kLine) | 1) * kLine) {}

  Events run() {
    const std::int64_t groups = ceil_div(call_.out.cols, steps_.cols);
    columns_.resize(static_cast<std::size_t>(groups * steps_.cols * depth_));
    column_norms_.resize(static_cast<std::size_t>(groups * stretches()));
    parallel_for(groups, [this](std::int64_t g) { fill_columns(g); });
    const std::int64_t tiles = std::clamp<std::int64_t>(call_.out.rows / (8 * steps_.rows), 4, kMostTiles);
    return over_row_blocks(
        call_.out.rows, tiles * steps_.rows,
        [this](std::int64_t first, std::int64_t rows, Events& events) { run_rows(first, rows, events); });
  }

 private:
  static constexpr std::int64_t kLine = static_cast<std::int64_t>(kCacheLine / sizeof(T));
  static constexpr std::int64_t kStretch = 128;  // its columns stay in the first cache
  static constexpr int kMostTiles = 12;
  static constexpr int kMostRows = kMostTiles * 12;
  static constexpr int kMostCols = 32;

  // Rows of a block, and the largest norms of those of each tile, stretch after stretch.
  struct Panel {
    LineVector<T> values;
    std::vector<double> norms;
  };

  std::int64_t stretches() const { return ceil_div(depth_, kStretch); }

  // Of a stretch at most, up to an error of 2^-18 of it, or infinite: rounded squares, eight or nine to a lane, each
  // sum of them rounded too.
  static double norm(const T* values, std::int64_t count) {
    constexpr int kLanes = 16;
    T lanes[kLanes] = {};
    std::int64_t k = 0;
    for (; k + kLanes <= count; k += kLanes) {
      for (int j = 0; j < kLanes; ++j) lanes[j] += values[k + j] * values[k + j];
    }
    for (; k < count; ++k) lanes[k % kLanes] += values[k] * values[k];
    double sum = 0;
    for (const T lane : lanes) sum += static_cast<double>(lane);
    return std::sqrt(sum);
  }

  // A stretch at a time, which the first cache holds as it was and as it becomes.
  void fill_columns(std::int64_t g) {
    std::vector<T> rows(static_cast<std::size_t>(steps_.cols * kStretch), T{0});
    for (std::int64_t k0 = 0; k0 < depth_; k0 += kStretch) {
      const std::int64_t depth = std::min(kStretch, depth_ - k0);
      double& largest = column_norms_[static_cast<std::size_t>(g * stretches() + k0 / kStretch)];
      for (std::int64_t c = 0; c < std::min<std::int64_t>(steps_.cols, call_.out.cols - g * steps_.cols); ++c) {
        T* row = rows.data() + c * kStretch;
        generic::gather<T>(call_.b, g * steps_.cols + c, k0, k0 + depth, T{0}, row);
        largest = std::max(largest, norm(row, depth));
      }
      T* out = columns_.data() + (g * depth_ + k0) * steps_.cols;
      for (std::int64_t k = 0; k < depth; ++k) {
        for (std::int64_t c = 0; c < steps_.cols; ++c) *out++ = rows[static_cast<std::size_t>(c * kStretch + k)];
      }
    }
  }

  Panel make_panel(std::int64_t first, std::int64_t rows) const {
    const std::int64_t tiles = ceil_div(rows, steps_.rows);
    Panel panel;
    panel.values.assign(static_cast<std::size_t>(tiles * steps_.rows * row_stride_), T{0});
    panel.norms.assign(static_cast<std::size_t>(tiles * stretches()), 0);
    const auto scale = static_cast<T>(rule_.row_scale);
    for (std::int64_t r = 0; r < rows; ++r) {
      T* row = panel.values.data() + r * row_stride_;
      generic::gather<T>(call_.a, first + r, 0, depth_, T{0}, row);
      double* norms = panel.norms.data() + r / steps_.rows * stretches();
      for (std::int64_t k = 0; k < depth_; k += kStretch) {
        const std::int64_t depth = std::min(kStretch, depth_ - k);
        for (std::int64_t j = k; j < k + depth; ++j) row[j] *= scale;
        norms[k / kStretch] = std::max(norms[k / kStretch], norm(row + k, depth));
      }
    }
    return panel;
  }

  void run_rows(std::int64_t first, std::int64_t rows, Events& events) const {
    const Panel panel = make_panel(first, rows);
    Outputs<I> outputs(call_, kernels_);
    alignas(kCacheLine) T held[kMostRows * kMostCols];
    isa::FloatCall<T> call;
    call.row_stride = row_stride_;
    call.offset = static_cast<T>(rule_.offset);
    call.low = static_cast<T>(rule_.low);
    call.high = static_cast<T>(rule_.high);
    for (std::int64_t left = 0; left < call_.out.cols; left += steps_.cols) {
      const Tile tile{first, rows, left, std::min<std::int64_t>(steps_.cols, call_.out.cols - left)};
      std::fill_n(held, ceil_div(rows, steps_.rows) * steps_.rows * steps_.cols, T{0});
      outputs.start(tile, held, steps_.cols, events);
      for (std::int64_t k = 0; k < depth_; k += kStretch) {
        call.depth = std::min(kStretch, depth_ - k);
        call.columns = columns_.data() + left * depth_ + k * steps_.cols;
        const double column_norm =
            column_norms_[static_cast<std::size_t>(left / steps_.cols * stretches() + k / kStretch)];
        for (std::int64_t i = 0; i < rows; i += steps_.rows) {
          call.rows = panel.values.data() + i * row_stride_ + k;
          call.held = held + i * steps_.cols;
          const double row_norm = panel.norms[static_cast<std::size_t>(i / steps_.rows * stretches() + k / kStretch)];
          if (run_free(call, row_norm * column_norm)) continue;
          events.step_overflows += steps_.run[rule_.centred][call_.count](call);
        }
      }
      outputs.finish(tile, held, steps_.cols, events);
    }
    if (call_.accumulator.inner->stochastic) events.random_draws += rows * call_.out.cols * depth_;
  }

  // Takes a stretch without a clamp where the norms of its operands show that none is needed. Two steps of the register
  // make up for roundings on the way here; whole numbers between the ends are numbers of T.
  bool run_free(isa::FloatCall<T>& call, double norms) const {
    const double roundings = rule_.centred ? 0 : static_cast<double>(call.depth) / 2;
    const double reach = norms * (1 + 0x1p-16) + roundings + 2;
    if (!(2 * reach < rule_.high - rule_.low)) return false;
    call.room_low = static_cast<T>(std::ceil(rule_.low + reach));
    call.room_high = static_cast<T>(std::floor(rule_.high - reach));
    return steps_.free(call);
  }

  const GemmCall& call_;
  const isa::Kernels& kernels_;
  const isa::FloatSteps<T>& steps_;
  FloatRule rule_;
  std::int64_t depth_;
  std::int64_t row_stride_;  // an odd number of cache lines, so that those of a tile's rows stand apart
  LineVector<T> columns_;
  std::vector<double> column_norms_;
};

}  // namespace fxsim::steps
