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
      : call_(call), kernels_(kernels), steps_(steps), rule_(rule), depth_(call.a.depth()) {}

  Events run() {
    const std::int64_t groups = ceil_div(call_.out.cols, steps_.cols);
    columns_.resize(static_cast<std::size_t>(groups * steps_.cols * depth_));
    parallel_for(groups, [this](std::int64_t g) { fill_columns(g); });
    const std::int64_t block_rows = 4 * steps_.rows;
    return over_row_blocks(call_.out.rows, block_rows, [this](std::int64_t first, std::int64_t rows, Events& events) {
      run_rows(first, rows, events);
    });
  }

 private:
  static constexpr int kMostRows = 4 * 12;
  static constexpr int kMostCols = 32;

  void fill_columns(std::int64_t g) {
    std::vector<T> row(static_cast<std::size_t>(depth_));
    T* out = columns_.data() + g * steps_.cols * depth_;
    for (std::int64_t c = 0; c < steps_.cols; ++c) {
      const std::int64_t column = g * steps_.cols + c;
      std::fill(row.begin(), row.end(), T{0});
      if (column < call_.out.cols) generic::gather<T>(call_.b, column, 0, depth_, T{0}, row.data());
      for (std::int64_t k = 0; k < depth_; ++k) out[k * steps_.cols + c] = row[static_cast<std::size_t>(k)];
    }
  }

  void run_rows(std::int64_t first, std::int64_t rows, Events& events) const {
    const std::int64_t padded = ceil_div(rows, steps_.rows) * steps_.rows;
    std::vector<T> panel(static_cast<std::size_t>(padded * depth_), T{0});
    for (std::int64_t r = 0; r < rows; ++r)
      generic::gather<T>(call_.a, first + r, 0, depth_, T{0}, panel.data() + r * depth_);
    const auto scale = static_cast<T>(rule_.row_scale);
    for (T& value : panel) value *= scale;
    Outputs<I> outputs(call_, kernels_);
    alignas(kCacheLine) T held[kMostRows * kMostCols];
    isa::FloatCall<T> call;
    call.row_stride = depth_;
    call.depth = depth_;
    call.offset = static_cast<T>(rule_.offset);
    call.low = static_cast<T>(rule_.low);
    call.high = static_cast<T>(rule_.high);
    const isa::FloatRun<T> kernel = steps_.run[rule_.centred][call_.count];
    for (std::int64_t left = 0; left < call_.out.cols; left += steps_.cols) {
      const Tile tile{first, rows, left, std::min<std::int64_t>(steps_.cols, call_.out.cols - left)};
      std::fill(std::begin(held), std::end(held), T{0});
      outputs.start(tile, held, steps_.cols, events);
      call.columns = columns_.data() + left * depth_;
      for (std::int64_t i = 0; i < padded; i += steps_.rows) {
        call.rows = panel.data() + i * depth_;
        call.held = held + i * steps_.cols;
        events.step_overflows += kernel(call);
      }
      outputs.finish(tile, held, steps_.cols, events);
    }
    if (call_.accumulator.inner->stochastic) events.random_draws += rows * call_.out.cols * depth_;
  }

  const GemmCall& call_;
  const isa::Kernels& kernels_;
  const isa::FloatSteps<T>& steps_;
  FloatRule rule_;
  std::int64_t depth_;
  LineVector<T> columns_;
};

}  // namespace fxsim::steps
