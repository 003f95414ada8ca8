// Results that are sums of 32 bits, the bias in them, rounded once: a stretch of a line at a time, in 32-bit lanes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <vector>

#include "kernels/exact/tile_sums.hpp"
#include "kernels/generic/finish.hpp"
#include "kernels/generic/round32.hpp"
#include "numbers/aligned.hpp"

namespace fxsim::exact {

class Rounder {
 public:
  Rounder(const GemmCall& call, const isa::Kernels& kernels)
      : call_(call),
        kernels_(kernels),
        fl_(call.a.format.fl + call.b.format.fl),
        round_(kernels, call.output, call.output.format.fl - fl_, call.out.storage, call.count) {}

  bool possible() const { return round_.possible(); }

  // Where `count` sums of a stretch are collected, row by row.
  std::int32_t* sums(std::int64_t count) {
    if (std::ssize(sums_) < count) {
      sums_.resize(static_cast<std::size_t>(count));
      u_.resize(static_cast<std::size_t>(count));
    }
    return sums_.data();
  }

  // Of rows that were collected `pitch` apart.
  void close_gaps(std::int64_t pitch, std::int64_t rows, std::int64_t columns) {
    if (columns == pitch) return;
    std::int32_t* sums = sums_.data();
    for (std::int64_t i = 1; i < rows; ++i) std::copy_n(sums + i * pitch, columns, sums + i * columns);
  }

  // Rounds and stores the collected sums of `tile`.
  void run(const generic::Tile& tile, Events& events) {
    const Quantizer& q = call_.output;
    if (q.stochastic) generic::fill_tile_bits(call_, tile, q, Site::kOutput, kernels_.philox, u_.data());
    const std::int64_t row_stride = tile.row_step * call_.out.row_stride;
    const std::int64_t run = row_stride == tile.cols ? tile.size() : tile.cols;
    const std::int64_t first = tile.m0 * call_.out.row_stride + tile.n0;
    BlockTally tally;
    for (std::int64_t at = 0; at < tile.size(); at += run) {
      const std::int64_t place = first + at / tile.cols * row_stride;
      if (!round_run(at, run, place, tally)) return run_general(tile, events);
    }
    if (q.stochastic) events.random_draws += tile.size();
    events.output_overflows += tally.overflows;
    events.inexact += tally.inexact;
    events.round_to_zero += tally.round_to_zero;
  }

 private:
  // Sums at, at + 1, ... to neighbours from `place` on.
  bool round_run(std::int64_t at, std::int64_t count, std::int64_t place, BlockTally& tally) {
    for (std::int64_t done = 0; done < count; done += generic::kBlock32) {
      const std::int64_t block = std::min(generic::kBlock32, count - done);
      const std::int64_t from = at + done;
      if (!round_.run(sums_.data() + from, block, u_.data() + from, call_.out.data, place + done, nullptr, tally)) {
        return false;
      }
    }
    return true;
  }

  void run_general(const generic::Tile& tile, Events& events) {
    std::vector<std::int64_t> values(sums_.begin(), sums_.begin() + tile.size());
    generic::Scratch scratch;
    scratch.reserve(tile.size());
    generic::finish_tile(call_, &kernels_, tile, values.data(), fl_, false, scratch, events);
  }

  const GemmCall& call_;
  const isa::Kernels& kernels_;
  int fl_;
  generic::Round32<std::int32_t> round_;
  LineVector<std::int32_t> sums_;
  std::vector<std::uint32_t> u_;
};

}  // namespace fxsim::exact
