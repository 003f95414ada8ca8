// GEMM with an accumulator that saturates after every step, in vectors of 32-bit lanes: one product a step, nothing
// rounded on the way. The order of k is kept; only outputs stand side by side.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/generic/finish.hpp"
#include "kernels/generic/resident.hpp"
#include "kernels/generic/sequence.hpp"
#include "kernels/tasks.hpp"

namespace fxsim::generic {

// The bounds of isa::Block::run_steps: 16-bit operands, and what is held and every product below 2^30.
inline bool clamp_steps_fit(const GemmCall& call, const isa::Kernels& kernels) {
  const Accumulator& acc = call.accumulator;
  if (kernels.blocks[0].run_steps == nullptr || acc.product || !acc.inner || acc.chunk > 0) return false;
  if (acc.at_end || acc.lanes != 1) return false;
  const Quantizer& q = *acc.inner;
  const bool clamps = q.overflow == *find_overflow(Saturate::name) || q.symmetric;
  const int a_bits = call.a.format.magnitude_bits();
  const int b_bits = call.b.format.magnitude_bits();
  return clamps && !q.stochastic && q.format.fl == call.a.format.fl + call.b.format.fl && a_bits <= 15 &&
         b_bits <= 15 && a_bits + b_bits < 30 && q.format.magnitude_bits() < 30;
}

template <class I>
Events clamp_gemm(const GemmCall& call, const isa::Kernels& kernels) {
  constexpr std::int64_t kBlockRows = 48;
  constexpr Limbs kWhole{1, 15};
  const Registers<I> registers(call);
  const bool add_bias = call.bias != nullptr && !registers.has_preload;
  const auto lowest = static_cast<std::int32_t>(call.accumulator.inner->lowest());
  const auto highest = static_cast<std::int32_t>(call.accumulator.inner->format.raw_max());
  const std::int64_t depth = call.a.depth();
  const isa::Block& micro = choose_block(kernels, call.b.rows());
  Resident resident;
  resident.fill(call.b, kWhole, micro);
  return over_row_blocks(call.out.rows, kBlockRows, [&](std::int64_t first, std::int64_t rows, Events& own) {
    LimbPanel panel;
    panel.fill(call.a, kWhole, first, rows, micro.step_rows, 0, depth);
    std::int32_t held[isa::kMostBlockRows * isa::kMostBlockCols];
    std::vector<I> values;
    Scratch scratch;
    for (std::int64_t g = 0; g < resident.groups(); ++g) {
      const std::int64_t left = g * micro.cols;
      for (std::int64_t i = 0; i < rows; i += micro.step_rows) {
        const Tile tile{first + i, std::min<std::int64_t>(micro.step_rows, rows - i), left,
                        std::min<std::int64_t>(micro.cols, call.out.cols - left)};
        std::fill(std::begin(held), std::end(held), 0);
        for (std::int64_t at = 0; registers.has_preload && at < tile.size(); ++at) {
          const Element place{tile.index(call, at), call.key, own};
          const I start = registers.start_value(call.bias[left + at % tile.cols], place);
          held[at / tile.cols * micro.cols + at % tile.cols] = static_cast<std::int32_t>(to_integer(start).low);
        }
        own.step_overflows += micro.run_steps(panel.row(i, 0), panel.row_stride(), resident.at(g, 0, 0), panel.depth(),
                                              lowest, highest, call.count, held);
        values.resize(static_cast<std::size_t>(tile.size()));
        scratch.reserve(tile.size());
        for (std::int64_t at = 0; at < tile.size(); ++at) {
          values[static_cast<std::size_t>(at)] = I{std::int64_t{held[at / tile.cols * micro.cols + at % tile.cols]}};
        }
        finish_tile(call, &kernels, tile, values.data(), registers.fl(), add_bias, scratch, own);
      }
    }
  });
}

}  // namespace fxsim::generic
