// From accumulated values to stored outputs: bias, output rounding, overflow, carrier.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/api.hpp"
#include "kernels/generic/round_block.hpp"
#include "kernels/generic/store.hpp"

namespace fxsim::generic {

// A tile of outputs: rows m0, m0 + row_step, ... and columns n0 .. n0 + cols - 1, values row by row without gaps.
struct Tile {
  std::int64_t m0 = 0, rows = 0, n0 = 0, cols = 0;
  std::int64_t row_step = 1;

  std::int64_t size() const { return rows * cols; }
  std::int64_t index(const GemmCall& call, std::int64_t place) const {
    return call.index_base + (m0 + place / cols * row_step) * call.index_row_stride + n0 + place % cols;
  }
};

struct Scratch {
  std::vector<std::int64_t> raw;
  std::vector<std::uint32_t> u;
  std::vector<std::uint8_t> clipped;

  void reserve(std::int64_t count) {
    raw.resize(static_cast<std::size_t>(count));
    u.resize(static_cast<std::size_t>(count));
    clipped.resize(static_cast<std::size_t>(count));
  }
};

inline void fill_tile_bits(const GemmCall& call, const Tile& tile, const Quantizer& q, Site site, PhiloxFill fill,
                           std::uint32_t* u) {
  const bool one_run = tile.row_step == 1 && call.index_row_stride == tile.cols;
  const std::int64_t run = one_run ? tile.size() : tile.cols;
  for (std::int64_t place = 0; place < tile.size(); place += run) {
    fill_random_bits(call.key, tile.index(call, place), run, q.random_bits, site, 0, u + place, fill);
  }
}

// One rounding of every value of a tile into `q`; the raws land in scratch.raw.
template <class I>
BlockTally round_tile(const GemmCall& call, const isa::Kernels* kernels, const Tile& tile, const I* values, int scale,
                      const Quantizer& q, Site site, Fault::Phase phase, Scratch& scratch, Events& events) {
  if (q.stochastic) fill_tile_bits(call, tile, q, site, philox_of(kernels), scratch.u.data());
  const BlockTally tally =
      round_block(kernels, values, tile.size(), scale, q, scratch.u.data(), scratch.raw.data(), scratch.clipped.data());
  if (q.stochastic) events.random_draws += tile.size();
  if (q.error && tally.first_outside >= 0) {
    const std::int64_t k = phase == Fault::kStep ? 0 : -1;  // a sum rounded at the end is one step, from k = 0 on
    events.refuse({phase, tile.index(call, tally.first_outside), k, tally.outside_value, q.format});
  }
  return tally;
}

// The accumulator's integers as they are; one that the result format cannot hold is refused.
template <class I>
void take_as_is(const GemmCall& call, const Tile& tile, const I* values, Scratch& scratch, Events& events) {
  const Format& format = call.output.format;
  for (std::int64_t i = 0; i < tile.size(); ++i) {
    const Integer value = to_integer(values[i]);
    scratch.raw[static_cast<std::size_t>(i)] = value.low;
    if (outside(value, format)) events.refuse({Fault::kDoesNotFit, tile.index(call, i), -1, value, format});
  }
}

inline void store_tile(const GemmCall& call, const Tile& tile, const Scratch& scratch, Events& events) {
  const MutableMatrix& out = call.out;
  const int fl = call.output.format.fl;
  const std::int64_t first = tile.m0 * out.row_stride + tile.n0 * out.col_stride;
  const std::int64_t row_stride = tile.row_step * out.row_stride;
  if (out.col_stride == 1 && row_stride == tile.cols) {
    events.inexact_carriers += store(scratch.raw.data(), tile.size(), fl, out.data, out.storage, first, 1);
    return;
  }
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    events.inexact_carriers += store(scratch.raw.data() + r * tile.cols, tile.cols, fl, out.data, out.storage,
                                     first + r * row_stride, out.col_stride);
  }
}

// Brings accumulated values of fractional length value_fl to the output; `add_bias` adds the bias exactly first.
template <class I>
void finish_tile(const GemmCall& call, const isa::Kernels* kernels, const Tile& tile, I* values, int value_fl,
                 bool add_bias, Scratch& scratch, Events& events) {
  if (add_bias) {
    const int fine = std::max(value_fl, call.bias_fl);
    for (std::int64_t r = 0; r < tile.rows; ++r) {
      for (std::int64_t c = 0; c < tile.cols; ++c) {
        I& value = values[r * tile.cols + c];
        value = align(value, fine - value_fl) + align(I{call.bias[tile.n0 + c]}, fine - call.bias_fl);
      }
    }
    value_fl = fine;
  }
  if (call.output_rounds) {
    const Quantizer& q = call.output;
    const BlockTally tally = round_tile(call, kernels, tile, values, q.format.fl - value_fl, q, Site::kOutput,
                                        Fault::kOutput, scratch, events);
    events.output_overflows += tally.overflows;
    events.inexact += tally.inexact;
    events.round_to_zero += tally.round_to_zero;
  } else {
    take_as_is(call, tile, values, scratch, events);
  }
  store_tile(call, tile, scratch, events);
}

}  // namespace fxsim::generic
