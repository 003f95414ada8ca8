// GEMM where the exact sum of all products decides the bits: an exact accumulator, one that is rounded once at the
// end, one that wraps, or one that a bound shows never to overflow. The order of k is then free.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "kernels/generic/finisher.hpp"
#include "kernels/generic/limbs.hpp"
#include "kernels/generic/resident.hpp"
#include "kernels/generic/width.hpp"
#include "kernels/tasks.hpp"

namespace fxsim::generic {

// The sums of a block of panel rows with some groups of the resident operand, group after group. Sum: std::uint64_t
// where they fit 64 bits or are wanted mod 2^64 only, else uint128.
template <class Sum>
class ExactTile {
 public:
  ExactTile(const isa::Kernels& kernels, const isa::Block& block) : block_(block), add_shifted_(kernels.add_shifted) {}

  void clear(std::int64_t rows, std::int64_t groups) {
    rows_ = ceil_div(rows, block_.rows) * block_.rows;
    sums_.assign(static_cast<std::size_t>(groups * rows_ * block_.cols), Sum{0});
  }

  // Adds the products over the panel's k, which start at `k0` of the resident operand, to the sums number `slot`;
  // `flush` products fit 32 bits.
  void add(std::int64_t slot, const LimbPanel& panel, const Limbs& panel_limbs, const Resident& resident,
           const Limbs& resident_limbs, std::int64_t group, std::int64_t k0, std::int64_t flush) {
    for (std::int64_t i = 0; i < rows_; i += block_.rows) {
      for (std::int64_t k = 0; k < panel.depth(); k += flush) {
        const std::int64_t length = std::min(flush, panel.depth() - k);
        for (int u = 0; u < panel_limbs.count; ++u) {
          for (int v = 0; v < resident_limbs.count; ++v) {
            std::int32_t sums[isa::kMostBlockRows * isa::kMostBlockCols];
            block_.run(panel.row(i, u) + k, panel.row_stride(), resident.at(group, v, k0 + k), resident.row_stride(),
                       length, sums);
            add_block(sums, row(slot, i), panel_limbs.shift(u) + resident_limbs.shift(v));
          }
        }
      }
    }
  }

  const Sum* row(std::int64_t slot, std::int64_t i) const { return sums_.data() + (slot * rows_ + i) * block_.cols; }

 private:
  Sum* row(std::int64_t slot, std::int64_t i) { return sums_.data() + (slot * rows_ + i) * block_.cols; }

  void add_block(const std::int32_t* from, Sum* to, int shift) {
    const std::int64_t count = std::int64_t{block_.rows} * block_.cols;
    if constexpr (std::is_same_v<Sum, std::uint64_t>) {
      add_shifted_(from, count, shift, to);
    } else {
      for (std::int64_t j = 0; j < count; ++j) to[j] += static_cast<Sum>(std::int64_t{from[j]}) << shift;
    }
  }

  const isa::Block& block_;
  isa::AddShifted add_shifted_;
  std::vector<Sum> sums_;
  std::int64_t rows_ = 0;
};

inline std::int64_t as_signed(std::uint64_t sum) { return static_cast<std::int64_t>(sum); }
inline int128 as_signed(uint128 sum) { return static_cast<int128>(sum); }

// A GEMM of exact sums: the smaller operand is packed whole, the other a block of rows and a slab of k at a time.
template <class Sum, class I>
class ExactGemm {
 public:
  ExactGemm(const GemmCall& call, const isa::Kernels& kernels)
      : kernels_(kernels),
        finisher_(call, kernels),
        depth_(call.a.depth()),
        b_whole_(call.b.rows() <= call.a.rows()),
        whole_(b_whole_ ? call.b : call.a),
        blocked_(b_whole_ ? call.a : call.b),
        micro_(choose_block(kernels, whole_.rows())) {
    const Split split = choose_split(call.a.format, call.b.format, depth_);
    whole_limbs_ = b_whole_ ? split.b : split.a;
    blocked_limbs_ = b_whole_ ? split.a : split.b;
    flush_ = split.block;
  }

  Events run() {
    resident_.fill(whole_, whole_limbs_, micro_);
    return over_row_blocks(blocked_.rows(), kBlockRows, [&](std::int64_t first, std::int64_t rows, Events& events) {
      run_block(first, rows, events);
    });
  }

 private:
  static constexpr std::int64_t kSlab = 8192;     // a block of rows and two limbs: 1.5 MB
  static constexpr std::int64_t kBlockRows = 48;  // a multiple of every micro-kernel's rows

  struct Workspace {
    LimbPanel panel;
    std::vector<I> values;
    Scratch scratch;
  };

  void run_block(std::int64_t first, std::int64_t rows, Events& events) const {
    Workspace work;
    ExactTile<Sum> sums(kernels_, micro_);
    const std::int64_t groups = resident_.groups();
    if (depth_ <= kSlab) {  // each group is finished while its sums are in the first cache
      work.panel.fill(blocked_, blocked_limbs_, first, rows, micro_.rows, 0, depth_);
      for (std::int64_t g = 0; g < groups; ++g) {
        sums.clear(rows, 1);
        sums.add(0, work.panel, blocked_limbs_, resident_, whole_limbs_, g, 0, flush_);
        finish(sums, 0, g, first, rows, work, events);
      }
      return;
    }
    sums.clear(rows, groups);
    for (std::int64_t k = 0; k < depth_; k += kSlab) {
      work.panel.fill(blocked_, blocked_limbs_, first, rows, micro_.rows, k, std::min(k + kSlab, depth_));
      for (std::int64_t g = 0; g < groups; ++g) {
        sums.add(g, work.panel, blocked_limbs_, resident_, whole_limbs_, g, k, flush_);
      }
    }
    for (std::int64_t g = 0; g < groups; ++g) finish(sums, g, g, first, rows, work, events);
  }

  void finish(const ExactTile<Sum>& sums, std::int64_t slot, std::int64_t group, std::int64_t first, std::int64_t rows,
              Workspace& work, Events& events) const {
    const std::int64_t other = group * micro_.cols;
    const std::int64_t cols = std::min<std::int64_t>(micro_.cols, whole_.rows() - other);
    const Tile tile = b_whole_ ? Tile{first, rows, other, cols} : Tile{other, cols, first, rows};
    work.values.resize(static_cast<std::size_t>(tile.size()));
    work.scratch.reserve(tile.size());
    for (std::int64_t i = 0; i < rows; ++i) {
      const Sum* row = sums.row(slot, i);
      for (std::int64_t j = 0; j < cols; ++j) {
        work.values[static_cast<std::size_t>(b_whole_ ? i * cols + j : j * rows + i)] =
            static_cast<I>(as_signed(row[j]));
      }
    }
    finisher_.run(tile, work.values, work.scratch, events);
  }

  const isa::Kernels& kernels_;
  Finisher<I> finisher_;
  std::int64_t depth_;
  bool b_whole_;
  const Operand& whole_;
  const Operand& blocked_;
  const isa::Block& micro_;
  Limbs whole_limbs_, blocked_limbs_;
  std::int64_t flush_ = isa::kDepthMultiple;
  Resident resident_;
};

}  // namespace fxsim::generic
