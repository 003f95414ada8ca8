// Saturation after every step for operands of up to sixteen bits, every step taken in 32-bit lanes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/generic/gather.hpp"
#include "kernels/parallel.hpp"
#include "kernels/steps/byte_gemm.hpp"
#include "kernels/steps/events.hpp"
#include "kernels/steps/word_rule.hpp"
#include "numbers/aligned.hpp"

namespace fxsim::steps {

inline std::optional<WordRule> pair_rule(const GemmCall& call, const isa::Steps& steps) {
  if (steps.words == nullptr || !clamps_products(call)) return std::nullopt;
  return word_rule(*call.accumulator.inner, call.a.format.magnitude_bits(), 0,
                   kWordBits - call.b.format.magnitude_bits());
}

inline std::uint32_t scaled_word(std::int16_t value, int shift) {
  return static_cast<std::uint32_t>(value * (1 << shift)) & 0xFFFF;
}

// All columns in groups as wide as a tile: the words of k and k + 1 side by side.
class PairColumns {
 public:
  void fill(const Operand& o, std::int64_t width, int shift) {
    width_ = width;
    depth_ = quad_depth(o.depth());
    groups_ = ceil_div(o.rows(), width);
    pairs_.resize(static_cast<std::size_t>(groups_ * width * depth_ / 2));
    parallel_for(groups_, [&](std::int64_t g) {
      std::vector<std::int16_t> row(static_cast<std::size_t>(depth_));
      for (std::int64_t c = 0; c < width; ++c) {
        std::fill(row.begin(), row.end(), std::int16_t{0});
        if (g * width + c < o.rows()) generic::gather<std::int16_t>(o, g * width + c, 0, o.depth(), 0, row.data());
        std::uint32_t* out = pairs_.data() + g * width * depth_ / 2 + c;
        for (std::int64_t k = 0; k < depth_; k += 2) {
          const auto at = static_cast<std::size_t>(k);
          out[k / 2 * width] = scaled_word(row[at], shift) | scaled_word(row[at + 1], shift) << 16;
        }
      }
    });
  }

  std::int64_t groups() const { return groups_; }
  const std::byte* at(std::int64_t g) const {
    return reinterpret_cast<const std::byte*>(pairs_.data() + g * width_ * depth_ / 2);
  }

 private:
  LineVector<std::uint32_t> pairs_;
  std::int64_t width_ = 1, depth_ = 0, groups_ = 0;
};

template <class I>
class WordGemm {
 public:
  WordGemm(const GemmCall& call, const isa::Kernels& kernels, const WordRule& rule)
      : call_(call),
        kernels_(kernels),
        rule_(rule),
        tile_(choose_tile(*kernels.steps->words, call.b.rows())),
        depth_(quad_depth(call.a.depth())) {}

  Events run() {
    columns_.fill(call_.b, tile_.cols, rule_.col_shift);
    return over_row_blocks(call_.out.rows, kMostRows, [this](std::int64_t first, std::int64_t rows, Events& events) {
      run_rows(first, rows, events);
    });
  }

 private:
  static constexpr std::int64_t kMostRows = 48;  // a multiple of every tile's rows

  void run_rows(std::int64_t first, std::int64_t rows, Events& events) const {
    const std::int64_t padded = ceil_div(rows, tile_.word_rows) * tile_.word_rows;
    const LineVector<std::int32_t> words = words_of(first, rows, padded);
    Outputs<I> outputs(call_, kernels_);
    alignas(kCacheLine) std::int32_t held[kMostRows * isa::kMostStepCols];
    isa::WordCall call;
    call.row_stride = depth_;
    call.depth = depth_;
    call.shift = rule_.shift();
    call.offset = rule_.offset;
    call.lowest = rule_.lowest;
    for (std::int64_t g = 0; g < columns_.groups(); ++g) {
      const std::int64_t left = g * tile_.cols;
      const Tile tile{first, rows, left, std::min<std::int64_t>(tile_.cols, call_.out.cols - left)};
      std::fill(std::begin(held), std::end(held), 0);
      outputs.start(tile, held, tile_.cols, events);
      call.columns = columns_.at(g);
      for (std::int64_t i = 0; i < padded; i += tile_.word_rows) {
        call.rows = words.data() + i * depth_;
        call.held = held + i * tile_.cols;
        events.step_overflows += tile_.run[isa::kPairs][rule_.use_lowest][call_.count](call);
      }
      outputs.finish(tile, held, tile_.cols, events);
    }
    if (call_.accumulator.inner->stochastic) events.random_draws += rows * call_.out.cols * call_.a.depth();
  }

  LineVector<std::int32_t> words_of(std::int64_t first, std::int64_t rows, std::int64_t padded) const {
    LineVector<std::int32_t> words(static_cast<std::size_t>(padded * depth_), 0);
    std::vector<std::int16_t> row(static_cast<std::size_t>(depth_));
    for (std::int64_t r = 0; r < rows; ++r) {
      generic::gather<std::int16_t>(call_.a, first + r, 0, call_.a.depth(), 0, row.data());
      for (std::int64_t k = 0; k < call_.a.depth(); ++k) {
        words[static_cast<std::size_t>(r * depth_ + k)] =
            static_cast<std::int32_t>(scaled_word(row[static_cast<std::size_t>(k)], rule_.row_shift) << (k % 2 * 16));
      }
    }
    return words;
  }

  const GemmCall& call_;
  const isa::Kernels& kernels_;
  WordRule rule_;
  const isa::WordTile& tile_;
  std::int64_t depth_;
  PairColumns columns_;
};

}  // namespace fxsim::steps
