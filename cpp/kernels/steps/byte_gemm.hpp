// Saturation after every step for operands of up to eight bits, at nearly the speed of exact sums where little clips.
//
// Blocks of k are summed exactly, and stepped only where a prefix might have left the register. Between the sums P
// before a block and P' after it, a prefix q = P + s satisfies 2 q = P + P' + (s - t) with P' = q + t, and |s - t| is
// at most the sum of |a_k b_k| over the block, so at most the product of the norms of a and b there (Cauchy-Schwarz).
// Hence lowest <= q <= highest for all prefixes where
//
//     |P + P' - (highest + lowest)| + norm(a) norm(b) <= highest - lowest + 1,
//
// for 2 q is then at most 2 highest + 1 and at least 2 lowest - 1. All of it is integers; norms are rounded up. Below,
// |P|, |P'| <= 2^23 + 2^23 and norms of 256 bytes are below 2^12, so that nothing leaves 32 bits. Over all k, from 0:
// |q| <= norm(a) norm(b).
//
// How long the blocks are, or whether steps are taken at once, is chosen for each stretch of k by how many vectors
// failed there before. The choice is shared between threads and cannot change a bit.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "kernels/steps/byte_panels.hpp"
#include "kernels/steps/events.hpp"
#include "kernels/steps/word_rule.hpp"

namespace fxsim::steps {

inline constexpr int kByteBits = 8;

// Rows in unsigned bytes, columns in signed ones that step as words times 2^8.
inline std::optional<WordRule> byte_rule(const GemmCall& call, const isa::Steps& steps) {
  if (steps.words == nullptr || !clamps_products(call)) return std::nullopt;
  const Format& a = call.a.format;
  const Format& b = call.b.format;
  if (a.wl > 8 || b.magnitude_bits() > 7 || call.accumulator.inner->format.magnitude_bits() > 23) return std::nullopt;
  return word_rule(*call.accumulator.inner, a.magnitude_bits(), kByteBits, kByteBits);
}

// The narrowest tile that pads the columns least; wide ones are a little faster.
inline const isa::WordTile& choose_tile(const isa::WordSteps& steps, std::int64_t columns) {
  const isa::WordTile* best = nullptr;
  std::int64_t least = 0;
  std::int64_t cost_percent = 100;
  for (const isa::WordTile& tile : steps.tiles) {
    const std::int64_t cost = ceil_div(columns, tile.cols) * tile.cols * cost_percent;
    if (best == nullptr || cost < least) {
      least = cost;
      best = &tile;
    }
    cost_percent += 10;
  }
  return *best;
}

// One stretch's choice: a level of kBlocks, or steps. It goes down at once and up after a while.
class Choice {
 public:
  static constexpr std::uint32_t kSteps = kBlocks.size();

  std::uint32_t level() const { return state_.load(std::memory_order_relaxed) & 3; }

  // Of `vectors` vectors `failed` had to be stepped; under kSteps nothing was tried. Checks cost about a twelfth of a
  // block of 256, twice and four times that of shorter ones; a stepped vector costs four summed ones.
  void learn(std::uint32_t level, std::int64_t failed, std::int64_t vectors) {
    constexpr std::uint32_t kPatience = 32;
    const std::uint32_t age = (state_.load(std::memory_order_relaxed) >> 2) + 1;
    const std::int64_t most_percent = level + 1 < kSteps ? 8 + 2 * level : 65;
    std::uint32_t next = level;
    std::uint32_t next_age = age;
    if (level < kSteps && failed * 100 > vectors * most_percent) {
      next = level + 1;
      next_age = 0;
    } else if (level > 0 && age >= kPatience && (level == kSteps || failed * 200 <= vectors)) {
      next = level - 1;
      next_age = 0;
    }
    state_.store(next_age << 2 | next, std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint32_t> state_{0};
};

template <class I>
class ByteGemm {
 public:
  ByteGemm(const GemmCall& call, const isa::Kernels& kernels, const WordRule& rule)
      : call_(call),
        kernels_(kernels),
        steps_(*kernels.steps->words),
        rule_(rule),
        tile_(choose_tile(steps_, call.b.rows())),
        vectors_(tile_.cols / steps_.lanes),
        rows_(first_vectors(tile_.byte_rows, vectors_)),
        depth_(quad_depth(call.a.depth())),
        choices_(static_cast<std::size_t>(ceil_div(depth_, kBlocks[0]))) {}

  Events run() {
    const isa::Copies* copies = kernels_.bytes == nullptr ? nullptr : kernels_.bytes->copies;
    columns_.fill(call_.b, steps_, copies, tile_.cols, call_.a.format.is_signed);
    constexpr std::int64_t kPanelBytes = 1 << 19;
    const std::int64_t block_rows = depth_ * kMostRows <= kPanelBytes ? kMostRows : kMostRows / 2;
    return over_row_blocks(call_.out.rows, block_rows, [this](std::int64_t first, std::int64_t rows, Events& events) {
      run_rows(first, rows, events);
    });
  }

 private:
  static constexpr std::int64_t kMostRows = 48;  // a multiple of every tile's rows, and so is its half

  struct Work {
    ByteRows rows;
    std::int64_t padded = 0;
    alignas(kCacheLine) std::int32_t held[kMostRows * isa::kMostStepCols];
    std::uint32_t stayed[kMostRows];  // of each tile of bytes
  };

  void run_rows(std::int64_t first, std::int64_t rows, Events& events) {
    Work work;
    Outputs<I> outputs(call_, kernels_);
    work.padded = ceil_div(rows, kMostRows / 2) * (kMostRows / 2);
    work.rows.fill(call_.a, steps_, first, rows, work.padded);
    for (std::int64_t g = 0; g < columns_.groups(); ++g) {
      const std::int64_t left = g * tile_.cols;
      const Tile tile{first, rows, left, std::min<std::int64_t>(tile_.cols, call_.out.cols - left)};
      std::fill(std::begin(work.held), std::end(work.held), 0);
      outputs.start(tile, work.held, tile_.cols, events);
      if (!outputs.registers().has_preload && never_leaves(work, g)) {
        sum_all(work, g);
      } else {
        for (std::int64_t k = 0; k < depth_; k += kBlocks[0]) events.step_overflows += run_stretch(work, g, k);
      }
      outputs.finish(tile, work.held, tile_.cols, events);
    }
    if (call_.accumulator.inner->stochastic) events.random_draws += rows * call_.out.cols * call_.a.depth();
  }

  bool never_leaves(const Work& work, std::int64_t g) const {
    const std::int64_t reach = work.rows.norms.longest() * columns_.group(g).norms.longest();
    return reach <= std::min(highest(), -lowest());
  }

  // The bits of the first vector of every row of a tile.
  static std::uint32_t first_vectors(std::int64_t rows, std::int64_t vectors) {
    std::uint32_t bits = 0;
    for (std::int64_t i = 0; i < rows; ++i) bits |= std::uint32_t{1} << i * vectors;
    return bits;
  }

  std::int64_t highest() const { return call_.accumulator.inner->format.raw_max(); }
  std::int64_t lowest() const { return call_.accumulator.inner->lowest(); }

  isa::ByteBlock block_at(const Work& work, std::int64_t g, std::int64_t k, std::int64_t depth) const {
    isa::ByteBlock block;
    block.rows = work.rows.row(0) + k;
    block.row_stride = work.rows.stride();
    block.columns = columns_.at(g, k);
    block.depth = depth;
    return block;
  }

  // Puts `block` to every tile of rows and notes which vectors stayed; returns how many.
  std::int64_t run_tiles(Work& work, isa::ByteBlock block) const {
    std::int64_t stayed = 0;
    std::int32_t* held = work.held;
    for (std::int64_t i = 0; i < work.padded; i += tile_.byte_rows) {
      block.held = held + i * tile_.cols;
      const std::uint32_t mask = tile_.bytes(block);
      work.stayed[i / tile_.byte_rows] = mask;
      stayed += std::popcount(mask);
      block.rows += tile_.byte_rows * block.row_stride;
      block.row_norms += tile_.byte_rows * block.norm_stride;
    }
    return stayed;
  }

  void sum_all(Work& work, std::int64_t g) const {
    static constexpr std::int32_t kNoNorms[isa::kMostStepCols] = {};
    isa::ByteBlock block = block_at(work, g, 0, depth_);
    block.compensation = columns_.group(g).whole_compensation.data();
    block.row_norms = kNoNorms;
    block.col_norms = kNoNorms;
    block.room = std::numeric_limits<std::int32_t>::max();
    run_tiles(work, block);
  }

  std::int64_t run_stretch(Work& work, std::int64_t g, std::int64_t k) {
    Choice& choice = choices_[static_cast<std::size_t>(k / kBlocks[0])];
    const std::uint32_t level = choice.level();
    const std::int64_t end = std::min(k + kBlocks[0], depth_);
    std::int64_t overflows = 0;
    if (level == Choice::kSteps) {
      overflows = step_all(work, g, k, end - k);
      choice.learn(level, 0, 0);
      return overflows;
    }
    const std::int64_t length = kBlocks[level];
    const ByteColumns::Group& group = columns_.group(g, level);
    work.rows.norms.take_roots(level);
    std::int64_t failed = 0, tried = 0;
    for (std::int64_t from = k; from < end; from += length) {
      const std::int64_t b = from / length;
      const std::int64_t depth = std::min(length, end - from);
      isa::ByteBlock block = block_at(work, g, from, depth);
      block.compensation = group.compensation[level].data() + b * tile_.cols;
      block.row_norms = work.rows.norms.block(level, b);
      block.norm_stride = 1;
      block.col_norms = group.norms.block(level, b);
      block.centre = static_cast<std::int32_t>(highest() + lowest());
      block.room = static_cast<std::int32_t>(highest() - lowest() + 1);
      const std::int64_t stayed = run_tiles(work, block);
      if (stayed > 0) overflows += step_stayed(work, g, from, depth);
      failed += stayed;
      tried += work.padded * vectors_;
    }
    choice.learn(level, failed, tried);
    return overflows;
  }

  std::int64_t step_all(Work& work, std::int64_t g, std::int64_t k, std::int64_t depth) const {
    isa::WordCall words;
    words.row_stride = work.rows.stride();
    words.columns = columns_.at(g, k);
    words.depth = depth;
    words.shift = rule_.shift();
    words.offset = rule_.offset;
    words.lowest = rule_.lowest;
    std::int64_t overflows = 0;
    for (std::int64_t i = 0; i < work.padded; i += tile_.word_rows) {
      words.rows = work.rows.words(i, steps_, rule_) + k;
      words.held = work.held + i * tile_.cols;
      overflows += tile_.run[isa::kQuads][rule_.use_lowest][call_.count](words);
    }
    return overflows;
  }

  // Steps the vectors that stayed, those of the same columns together.
  std::int64_t step_stayed(Work& work, std::int64_t g, std::int64_t k, std::int64_t depth) const {
    isa::WordList list;
    list.column_stride = std::int64_t{tile_.cols} * 4;
    list.depth = depth;
    list.shift = rule_.shift();
    list.offset = rule_.offset;
    list.lowest = rule_.lowest;
    const isa::WordListRun kernel = steps_.list[rule_.use_lowest][call_.count];
    std::int64_t overflows = 0;
    for (std::int64_t j = 0; j < vectors_; ++j) {
      list.columns = columns_.at(g, k) + j * steps_.lanes * 4;
      int listed = 0;
      for (std::int64_t first = 0; first < work.padded; first += tile_.byte_rows) {
        for (std::uint32_t left = work.stayed[first / tile_.byte_rows] & rows_ << j; left != 0; left &= left - 1) {
          const std::int64_t row = first + std::countr_zero(left) / vectors_;
          list.rows[listed] = work.rows.words(row, steps_, rule_) + k;
          list.held[listed] = work.held + row * tile_.cols + j * steps_.lanes;
          if (++listed < isa::kListed) continue;
          overflows += kernel(list);
          listed = 0;
        }
      }
      if (listed > 0) overflows += step_short(list, kernel, listed);
    }
    return overflows;
  }

  // A list that is not full ends in vectors of zeros, which no step moves: 0 lies in every register.
  std::int64_t step_short(isa::WordList& list, isa::WordListRun kernel, int listed) const {
    alignas(64) std::int32_t nothing[isa::kListed][16] = {};
    for (int i = listed; i < isa::kListed; ++i) {
      list.rows[i] = zeros_.data();
      list.held[i] = nothing[i];
    }
    return kernel(list);
  }

  const GemmCall& call_;
  const isa::Kernels& kernels_;
  const isa::WordSteps& steps_;
  WordRule rule_;
  const isa::WordTile& tile_;
  std::int64_t vectors_;
  std::uint32_t rows_;
  std::int64_t depth_;
  ByteColumns columns_;
  std::vector<Choice> choices_;
  std::vector<std::int32_t> zeros_ = std::vector<std::int32_t>(static_cast<std::size_t>(kBlocks[0]), 0);
};

}  // namespace fxsim::steps
