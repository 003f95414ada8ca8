// GEMM where the exact sum of all products decides the bits: an exact accumulator, one that is rounded once at the
// end, one that wraps, or one that a bound shows never to overflow. The order of k is then free.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/generic/finish.hpp"
#include "kernels/generic/limbs.hpp"
#include "kernels/generic/sequence.hpp"
#include "kernels/generic/width.hpp"
#include "kernels/parallel.hpp"

namespace fxsim::generic {

// Whether the exact sum suffices. The bound: |sum| <= K * 2^(p + q), preload included, within the register.
inline bool exact_sum_decides(const GemmCall& call) {
  const Accumulator& acc = call.accumulator;
  if (acc.product) return false;
  if (!acc.inner) return acc.chunk == 0 || !acc.outer;
  if (acc.chunk > 0) return false;
  if (acc.at_end) return true;
  const Quantizer& q = *acc.inner;
  const Format& f = q.format;
  const int product_fl = call.a.format.fl + call.b.format.fl;
  if (f.fl < product_fl || (call.count && q.stochastic)) return false;
  if (q.wraps && !call.count) return true;
  if (acc.preload && call.bias != nullptr) return false;
  const bool negative = call.a.format.is_signed || call.b.format.is_signed;
  if (negative && !f.is_signed) return false;
  const int sum_bits = call.a.format.magnitude_bits() + call.b.format.magnitude_bits() +
                       ceil_log2(std::max<std::int64_t>(call.a.depth(), 1)) + f.fl - product_fl;
  return sum_bits < f.magnitude_bits();
}

// Sum: std::uint64_t where the sums fit 64 bits or are wanted mod 2^64 only, else uint128.
template <class Sum>
class ExactTile {
 public:
  explicit ExactTile(isa::DotTile dot) : dot_(dot) {}

  // Adds the products over one slab of k of every pair of rows; sums are [row of p][row of r].
  void add(const LimbPanel& p, const Limbs& lp, std::int64_t p_rows, const LimbPanel& r, const Limbs& lr,
           std::int64_t r_rows, std::int64_t r_at, std::int64_t depth, std::int64_t block) {
    for (std::int64_t k = 0; k < depth; k += block) {
      const std::int64_t length = std::min(block, depth - k);
      for (std::int64_t i = 0; i < p_rows; i += isa::kDotRows) {
        for (std::int64_t j = 0; j < r_rows; j += isa::kDotCols) {
          for (int u = 0; u < lp.count; ++u) {
            for (int v = 0; v < lr.count; ++v) {
              add_block(p, p_rows, r, r_rows, r_at + k, i, j, k, length, u, v, lp.shift(u) + lr.shift(v));
            }
          }
        }
      }
    }
  }

  void clear(std::int64_t p_rows, std::int64_t r_rows) {
    cols_ = r_rows;
    sums_.assign(static_cast<std::size_t>(p_rows * r_rows), Sum{0});
  }
  Sum at(std::int64_t i, std::int64_t j) const { return sums_[static_cast<std::size_t>(i * cols_ + j)]; }

 private:
  void add_block(const LimbPanel& p, std::int64_t p_rows, const LimbPanel& r, std::int64_t r_rows, std::int64_t r_k,
                 std::int64_t i, std::int64_t j, std::int64_t k, std::int64_t length, int u, int v, int shift) {
    const std::int16_t* a[isa::kDotRows];
    const std::int16_t* b[isa::kDotCols];
    // Past the edge the last row stands in again; its sums are dropped.
    for (std::int64_t x = 0; x < isa::kDotRows; ++x) a[x] = p.row(std::min(i + x, p_rows - 1), u) + k;
    for (std::int64_t y = 0; y < isa::kDotCols; ++y) b[y] = r.row(std::min(j + y, r_rows - 1), v) + r_k;
    std::int32_t sums[isa::kDotRows][isa::kDotCols];
    dot_(a, b, length, sums);
    for (std::int64_t x = 0; x < std::min<std::int64_t>(isa::kDotRows, p_rows - i); ++x) {
      for (std::int64_t y = 0; y < std::min<std::int64_t>(isa::kDotCols, r_rows - j); ++y) {
        const auto wide = static_cast<Sum>(std::int64_t{sums[x][y]});
        sums_[static_cast<std::size_t>((i + x) * cols_ + j + y)] += wide << shift;
      }
    }
  }

  isa::DotTile dot_;
  std::vector<Sum> sums_;
  std::int64_t cols_ = 0;
};

inline std::int64_t as_signed(std::uint64_t sum) { return static_cast<std::int64_t>(sum); }
inline int128 as_signed(uint128 sum) { return static_cast<int128>(sum); }

// What a tile's sums go through: the register that is filled once (or never clips), then the output.
template <class I>
class Finisher {
 public:
  Finisher(const GemmCall& call, const isa::Kernels& kernels) : call_(call), kernels_(kernels), registers_(call) {}

  void run(const Tile& tile, std::vector<I>& values, Scratch& scratch, Events& events) const {
    const Register<I>& reg = registers_.inner;
    if (!reg.exact) fill_register(tile, values, scratch, events);
    const bool add_bias = call_.bias != nullptr && !registers_.has_preload;
    finish_tile(call_, &kernels_, tile, values.data(), reg.fl, add_bias, scratch, events);
  }

 private:
  void fill_register(const Tile& tile, std::vector<I>& values, Scratch& scratch, Events& events) const {
    const Register<I>& reg = registers_.inner;
    for (std::int64_t i = 0; i < tile.size(); ++i) {
      I& value = values[static_cast<std::size_t>(i)];
      value = align(value, reg.enter_shift);
      if (registers_.has_preload) {
        const Element place{tile.index(call_, i), call_.key, events};
        const I start = registers_.start_value(call_.bias[tile.n0 + i % tile.cols], place);
        value = value + align(start, reg.hold_shift);
      }
    }
    Quantizer once = reg.quantizer;
    once.stochastic = reg.at_end && once.stochastic;
    if (!once.stochastic && reg.quantizer.stochastic) once.rounding = 0;  // on the grid: no mode moves it
    const BlockTally tally =
        round_tile(call_, &kernels_, tile, values.data(), reg.scale, once, Site::kStep, Fault::kStep, scratch, events);
    events.step_overflows += tally.overflows;
    for (std::int64_t i = 0; i < tile.size(); ++i) {
      values[static_cast<std::size_t>(i)] = I{scratch.raw[static_cast<std::size_t>(i)]};
    }
  }

  const GemmCall& call_;
  const isa::Kernels& kernels_;
  Registers<I> registers_;
};

// Packs the smaller operand whole and the other a block of rows and a slab of k at a time.
template <class Sum, class I>
Events exact_gemm(const GemmCall& call, const isa::Kernels& kernels) {
  constexpr std::int64_t kSlab = 2048;  // a block of 32 rows and two limbs: 256 KB
  constexpr std::int64_t kBlockRows = 32;
  const std::int64_t depth = call.a.depth();
  const Split split = choose_split(call.a.format, call.b.format, depth);
  const bool b_whole = call.b.rows() <= call.a.rows();
  const Operand& whole = b_whole ? call.b : call.a;
  const Operand& blocked = b_whole ? call.a : call.b;
  const Limbs& whole_limbs = b_whole ? split.b : split.a;
  const Limbs& blocked_limbs = b_whole ? split.a : split.b;
  LimbPanel resident;
  resident.fill(whole, whole_limbs, 0, whole.rows(), 0, depth);
  const Finisher<I> finisher(call, kernels);
  const std::int64_t blocks = ceil_div(blocked.rows(), kBlockRows);
  std::vector<Events> events(static_cast<std::size_t>(blocks));
  parallel_for(blocks, [&](std::int64_t block) {
    const std::int64_t first = block * kBlockRows;
    const std::int64_t rows = std::min(kBlockRows, blocked.rows() - first);
    ExactTile<Sum> sums(kernels.dot);
    sums.clear(rows, whole.rows());
    LimbPanel panel;
    for (std::int64_t k = 0; k < depth; k += kSlab) {
      const std::int64_t end = std::min(k + kSlab, depth);
      panel.fill(blocked, blocked_limbs, first, rows, k, end);
      sums.add(panel, blocked_limbs, rows, resident, whole_limbs, whole.rows(), k, panel.depth(), split.block);
    }
    const Tile tile = b_whole ? Tile{first, rows, 0, whole.rows()} : Tile{0, whole.rows(), first, rows};
    std::vector<I> values(static_cast<std::size_t>(tile.size()));
    for (std::int64_t m = 0; m < tile.rows; ++m) {
      for (std::int64_t n = 0; n < tile.cols; ++n) {
        values[static_cast<std::size_t>(m * tile.cols + n)] =
            static_cast<I>(as_signed(b_whole ? sums.at(m, n) : sums.at(n, m)));
      }
    }
    Scratch scratch;
    scratch.reserve(tile.size());
    finisher.run(tile, values, scratch, events[static_cast<std::size_t>(block)]);
  });
  Events total;
  for (const Events& own : events) total.merge(own);
  return total;
}

}  // namespace fxsim::generic
