// An accumulator of one register, and a register of products before it, with as many steps at once as a run has: for a
// few k, and for the columns of a row that share their random blocks, the products are made, brought into their
// register, and added up one after the other.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/generic/gather.hpp"
#include "kernels/parallel.hpp"
#include "kernels/steps/events.hpp"
#include "kernels/steps/run_rule.hpp"
#include "numbers/aligned.hpp"

namespace fxsim::steps {

// The random bits of a register for the run at hand. Rows that share blocks follow each other and find them here.
class RunDraws {
 public:
  RunDraws(const RunRule& rule, const Key& key, Site site, const isa::Runs& runs)
      : rule_(rule), key_(key), site_(site), runs_(runs) {
    if (rule.draws) draws_.resize(static_cast<std::size_t>(isa::kMostRun * isa::draw_stride(rule.fields)));
  }

  // Of the sixteens that stand with sixteen number `at` of all outputs, for steps k0 .. k0 + depth - 1.
  void give(std::int64_t at, std::int64_t k0, std::int64_t depth, isa::RunCall& call) {
    if (!rule_.draws) return;
    const int fields = rule_.fields;
    const std::int64_t group = at / fields;
    if (group != group_ || k0 != k0_) {
      isa::DrawCall draw;
      draw.key = key_;
      draw.first = static_cast<std::uint64_t>(group * isa::kSixteen) + site_bits(site_, k0);
      draw.depth = depth;
      draw.fields = fields;
      draw.kept = rule_.kept;
      draw.draws = draws_.data();
      runs_.draws(draw);
      group_ = group;
      k0_ = k0;
    }
    call.draws = draws_.data();
    call.draw_stride = isa::draw_stride(fields);
    call.first_field = at % fields;
  }

 private:
  const RunRule& rule_;
  const Key& key_;
  Site site_;
  const isa::Runs& runs_;
  LineVector<std::int32_t> draws_;
  std::int64_t group_ = -1, k0_ = -1;
};

template <class I>
class RunGemm {
 public:
  RunGemm(const GemmCall& call, const isa::Kernels& kernels, const isa::Runs& runs)
      : call_(call),
        kernels_(kernels),
        runs_(runs),
        registers_(call),
        product_(run_rule(registers_.product)),
        inner_(run_rule(registers_.inner)),
        scale_(run_scale(registers_)),
        depth_(call.a.depth()),
        cols_(call.out.cols) {
    if (runs.ends) scale_to_ends(call, registers_, inner_, scale_);
    // An odd number of cache lines a row of columns, so that those of a run stand apart.
    width_ = (ceil_div(cols_ + 2 * isa::kSixteen, isa::kSixteen) | 1) * isa::kSixteen;
    const int most = std::min(product_.draws ? product_.fields : 16, inner_.draws ? inner_.fields : 16);
    together_ = product_.draws || inner_.draws ? most : 8;
  }

  Events run() {
    constexpr std::int64_t kHeld = 1 << 16;  // with the columns of a run, in the second cache
    columns_.assign(static_cast<std::size_t>(width_ * depth_), 0);
    parallel_for(ceil_div(cols_, isa::kSixteen), [this](std::int64_t at) { fill_columns(at * isa::kSixteen); });
    return over_row_blocks(
        call_.out.rows, std::clamp<std::int64_t>(kHeld / width_, 1, 64),
        [this](std::int64_t first, std::int64_t rows, Events& events) { run_rows(first, rows, events); });
  }

  // Whether a register that reports overflows had one; the sequence alone tells where.
  bool refuses(const Events& events) const {
    return (product_.error && events.product_overflows > 0) || (inner_.error && events.step_overflows > 0);
  }

 private:
  bool counts(const RunRule& rule) const { return call_.count || rule.error; }

  // A block of rows: their words, what their registers hold, and what a run of one of them needs.
  struct Rows {
    std::int64_t first = 0, rows = 0;
    std::vector<std::int32_t> words;
    LineVector<std::int32_t> held;
    LineVector<std::int32_t> entering;
    RunDraws product, inner;
    Events& events;
  };

  static std::int32_t scaled(std::int32_t value, int shift) {
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(value) << shift);
  }

  void fill_columns(std::int64_t from) {
    std::vector<std::int32_t> column(static_cast<std::size_t>(depth_));
    for (std::int64_t c = from; c < std::min(from + isa::kSixteen, cols_); ++c) {
      generic::gather<std::int32_t>(call_.b, c, 0, depth_, 0, column.data());
      std::int32_t* to = columns_.data() + isa::kSixteen + c;
      for (std::int64_t k = 0; k < depth_; ++k)
        to[k * width_] = scaled(column[static_cast<std::size_t>(k)], scale_.columns);
    }
  }

  void fill_words(Rows& block) const {
    block.words.resize(static_cast<std::size_t>(block.rows * depth_));
    for (std::int64_t r = 0; r < block.rows; ++r) {
      generic::gather<std::int32_t>(call_.a, block.first + r, 0, depth_, 0, block.words.data() + r * depth_);
    }
    for (std::int32_t& word : block.words) word = scaled(word, scale_.rows) & 0xFFFF;
  }

  void run_rows(std::int64_t first, std::int64_t rows, Events& events) const {
    Rows block{
        first, rows, {}, {}, {}, {product_, call_.key, Site::kProduct, runs_}, {inner_, call_.key, Site::kStep, runs_},
        events};
    fill_words(block);
    block.held.assign(static_cast<std::size_t>(rows * width_), 0);
    block.entering.resize(static_cast<std::size_t>(isa::kMostRun * isa::kMostSixteens * isa::kSixteen));
    Outputs<I> outputs(call_, kernels_);
    const Tile tile{first, rows, 0, cols_};
    outputs.start(tile, block.held.data() + isa::kSixteen, width_, events);
    const int drop = inner_.lanes.drop;
    for (std::int32_t& held : block.held) held = scaled(held, drop);
    for (std::int64_t k = 0; k < depth_; k += isa::kMostRun) run_depth(block, k, std::min(isa::kMostRun, depth_ - k));
    for (std::int32_t& held : block.held) held >>= drop;
    outputs.finish(tile, block.held.data() + isa::kSixteen, width_, events);
    const std::int64_t stochastic = registers_.product.quantizer.stochastic + registers_.inner.quantizer.stochastic;
    events.random_draws += stochastic * tile.size() * depth_;
  }

  // Every row meets the same columns before the next ones are fetched.
  void run_depth(Rows& block, std::int64_t k, std::int64_t depth) const {
    const std::int64_t most = ceil_div(cols_ + 2 * isa::kSixteen, together_ * isa::kSixteen) + 1;
    for (std::int64_t part = 0; part < most; ++part) {
      for (std::int64_t r = 0; r < block.rows; ++r) run_part(block, r, part, k, depth);
    }
  }

  // The part of row r in groups of random blocks: sixteens of all outputs, of which the first and the last may hold
  // columns of neighbouring rows as well, which are zeros here and stay zeros.
  void run_part(Rows& block, std::int64_t r, std::int64_t part, std::int64_t k, std::int64_t depth) const {
    const bool draws = product_.draws || inner_.draws;
    const std::int64_t start = draws ? Tile{block.first + r, 1, 0, cols_}.index(call_, 0) : 0;
    const std::int64_t group = (start / isa::kSixteen / together_ + part) * together_;
    const std::int64_t from = std::max(group, start / isa::kSixteen);
    const std::int64_t to = std::min(group + together_, ceil_div(start + cols_, isa::kSixteen));
    if (from >= to) return;
    const std::int64_t column = isa::kSixteen + from * isa::kSixteen - start;
    isa::RunCall call;
    call.depth = depth;
    call.sixteens = to - from;
    call.a = block.words.data() + r * depth_ + k;
    call.b = columns_.data() + k * width_ + column;
    call.b_stride = width_;
    call.entering = block.entering.data();
    call.held = block.held.data() + r * width_ + column;
    const bool exact = registers_.product.exact;
    if (!exact) {
      call.rule = &product_.lanes;
      block.product.give(from, k, depth, call);
      block.events.product_overflows += runs_.settle[product_.rounding][product_.limit][counts(product_)](call);
    }
    call.rule = &inner_.lanes;
    call.factor = std::int32_t{1} << scale_.entering;
    block.inner.give(from, k, depth, call);
    block.events.step_overflows += runs_.step[exact][inner_.rounding][inner_.limit][counts(inner_)](call);
  }

  const GemmCall& call_;
  const isa::Kernels& kernels_;
  const isa::Runs& runs_;
  generic::Registers<I> registers_;
  RunRule product_, inner_;
  RunScale scale_;
  std::int64_t depth_, cols_;
  std::int64_t width_ = 0;     // of a row of columns, sixteen zeros before them and at least as many after
  std::int64_t together_ = 8;  // sixteens of a part
  LineVector<std::int32_t> columns_;
};

}  // namespace fxsim::steps
