// GEMM with every step taken: packed operands, one sequence an output, in the narrowest integer type that is safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/generic/finish.hpp"
#include "kernels/generic/gather.hpp"
#include "kernels/generic/sequence.hpp"
#include "kernels/tasks.hpp"

namespace fxsim::generic {

// Rows of an operand, gathered whole.
struct Panel {
  std::vector<std::int64_t> values;
  std::int64_t depth = 0;

  void fill(const Operand& o, std::int64_t row0, std::int64_t rows) {
    depth = o.depth();
    values.resize(static_cast<std::size_t>(rows * depth));
    for (std::int64_t r = 0; r < rows; ++r) {
      gather<std::int64_t>(o, row0 + r, 0, depth, 0, values.data() + r * depth);
    }
  }
  const std::int64_t* row(std::int64_t r) const { return values.data() + r * depth; }
};

template <class I>
Events step_gemm(const GemmCall& call, const isa::Kernels& kernels) {
  constexpr std::int64_t kPanelElements = std::int64_t{1} << 18;  // 2 MB an operand
  const Registers<I> registers(call);
  const bool add_bias = call.bias != nullptr && !registers.has_preload;
  const std::int64_t depth = call.a.depth();
  const std::int64_t side = std::clamp<std::int64_t>(kPanelElements / std::max<std::int64_t>(depth, 1), 1, 64);
  const std::int64_t col_blocks = ceil_div(call.out.cols, side);
  return over_row_blocks(call.out.rows, side, [&](std::int64_t m0, std::int64_t rows, Events& own) {
    Panel a, b;
    Scratch scratch;
    std::vector<I> values;
    a.fill(call.a, m0, rows);
    for (std::int64_t j = 0; j < col_blocks; ++j) {
      const Tile tile{m0, rows, j * side, std::min(side, call.out.cols - j * side)};
      b.fill(call.b, tile.n0, tile.cols);
      values.resize(static_cast<std::size_t>(tile.size()));
      scratch.reserve(tile.size());
      for (std::int64_t i = 0; i < tile.size(); ++i) {
        const std::int64_t n = i % tile.cols;
        const std::int64_t* at_a = a.row(i / tile.cols);
        const std::int64_t* at_b = b.row(n);
        const Element place{tile.index(call, i), call.key, own};
        const I start = registers.start_value(call.bias == nullptr ? 0 : call.bias[tile.n0 + n], place);
        values[static_cast<std::size_t>(i)] = accumulate(
            registers, [at_a](std::int64_t k) { return at_a[k]; }, [at_b](std::int64_t k) { return at_b[k]; }, depth,
            start, place);
      }
      finish_tile(call, &kernels, tile, values.data(), registers.fl(), add_bias, scratch, own);
    }
  });
}

}  // namespace fxsim::generic
