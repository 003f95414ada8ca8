// Operands of up to eight bits as the byte blocks and the word steps want them, and what bounds their sums.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <mutex>
#include <vector>

#include "kernels/generic/gather.hpp"
#include "kernels/isa/copies.hpp"
#include "kernels/isa/steps.hpp"
#include "kernels/parallel.hpp"
#include "kernels/steps/word_rule.hpp"
#include "numbers/aligned.hpp"

namespace fxsim::steps {

// Blocks of k after which a bound is asked for, long to short; every one is a multiple of the shortest.
inline constexpr std::array<std::int64_t, 3> kBlocks{256, 128, 64};
inline constexpr std::int64_t kShortest = kBlocks.back();
static_assert(kShortest == isa::kMeasured);

// The least integer whose square is at least `squares`: the root of a double is off by less than one, and the loops
// settle the rest in integers.
inline std::int64_t root_above(std::int64_t squares) {
  auto root = static_cast<std::int64_t>(std::sqrt(static_cast<double>(squares)));
  while (root * root >= squares && root > 0) --root;
  while (root * root < squares) ++root;
  return root;
}

constexpr std::int64_t quad_depth(std::int64_t depth) { return ceil_div(depth, 4) * 4; }

// Norms of rows (or columns) over blocks of k of every length, and over all k.
class Norms {
 public:
  void resize(std::int64_t rows, std::int64_t depth) {
    rows_ = rows;
    squares_.assign(static_cast<std::size_t>(rows * ceil_div(depth, kShortest)), 0);
    for (std::vector<std::int32_t>& norms : norms_) norms.clear();
  }

  // Sums of squares over the shortest blocks, of all rows side by side.
  std::int32_t* squares() { return squares_.data(); }
  std::int64_t rows() const { return rows_; }

  // Once all squares are there.
  void find_longest() {
    std::int64_t most = 0;
    for (std::int64_t r = 0; r < rows_; ++r) {
      std::int64_t all = 0;
      for (std::int64_t b = 0; b < blocks(); ++b) all += squares_[static_cast<std::size_t>(b * rows_ + r)];
      most = std::max(most, all);
    }
    longest_ = root_above(most);
  }

  // To be called before norms of blocks of this length are asked for.
  void take_roots(std::size_t level) {
    if (!norms_[level].empty()) return;
    const std::int64_t together = kBlocks[level] / kShortest;
    norms_[level].resize(static_cast<std::size_t>(ceil_div(blocks(), together) * rows_));
    for (std::int64_t b = 0; b < blocks(); b += together) {
      roots_above(b, std::min(b + together, blocks()), norms_[level].data() + b / together * rows_);
    }
  }

  // Of all rows, side by side.
  const std::int32_t* block(std::size_t level, std::int64_t b) const { return norms_[level].data() + b * rows_; }
  std::int64_t longest() const { return longest_; }  // over all k, of all rows

 private:
  std::int64_t blocks() const { return rows_ == 0 ? 0 : static_cast<std::int64_t>(squares_.size()) / rows_; }

  // The integers next above the roots. A sum of 256 squares of bytes is below 2^24, so that it and the square of the
  // truncated root are exact in single precision, whose root is at most one step from an integer above the true one.
  void roots_above(std::int64_t first, std::int64_t last, std::int32_t* roots) const {
    const std::int32_t* squares = squares_.data();
    for (std::int64_t r = 0; r < rows_; ++r) {
      std::int32_t sum = 0;
      for (std::int64_t b = first; b < last; ++b) sum += squares[b * rows_ + r];
      const auto exact = static_cast<float>(sum);
      const auto root = static_cast<std::int32_t>(std::sqrt(exact));
      const auto back = static_cast<float>(root);
      roots[r] = root + (back * back < exact ? 1 : 0);
    }
  }

  std::vector<std::int32_t> squares_;
  std::array<std::vector<std::int32_t>, kBlocks.size()> norms_;
  std::int64_t rows_ = 0;
  std::int64_t longest_ = 0;
};

// A block of rows as unsigned bytes: signed values are stored 128 higher. Rows beyond are zeros.
class ByteRows {
 public:
  void fill(const Operand& o, const isa::WordSteps& steps, std::int64_t first, std::int64_t rows, std::int64_t padded) {
    const std::int64_t depth = o.depth();
    is_signed_ = o.format.is_signed;
    // A line more than a row needs, so that rows do not fall on the same sets of the first cache.
    stride_ = ceil_div(depth, isa::kMeasured) * isa::kMeasured + static_cast<std::int64_t>(kCacheLine);
    bytes_.assign(static_cast<std::size_t>(padded * stride_), 0);
    norms.resize(padded, depth);
    const std::int64_t measured = stride_ - static_cast<std::int64_t>(kCacheLine);
    for (std::int64_t r = 0; r < rows; ++r) {
      std::uint8_t* row = bytes_.data() + r * stride_;
      generic::gather<std::uint8_t>(o, first + r, 0, depth, 0, row);
      steps.measure(row, measured, is_signed_, padded, norms.squares() + r, nullptr);
    }
    if (is_signed_) {
      std::uint8_t* bytes = bytes_.data();
      const auto count = static_cast<std::int64_t>(bytes_.size());
      for (std::int64_t at = 0; at < count; ++at) bytes[at] = static_cast<std::uint8_t>(bytes[at] ^ 0x80);
    }
    norms.find_longest();
    words_.clear();
  }

  const std::uint8_t* row(std::int64_t r) const { return bytes_.data() + r * stride_; }
  std::int64_t stride() const { return stride_; }

  // The same as groups of words, `stride` apart. Made when first asked for.
  const std::int32_t* words(std::int64_t r, const isa::WordSteps& steps, const WordRule& rule) {
    if (words_.empty()) {
      words_.resize(bytes_.size());
      steps.widen(bytes_.data(), static_cast<std::int64_t>(bytes_.size()), is_signed_, rule.row_shift, words_.data());
    }
    return words_.data() + r * stride_;
  }

  Norms norms;

 private:
  LineVector<std::uint8_t> bytes_;
  LineVector<std::int32_t> words_;
  std::int64_t stride_ = 0;
  bool is_signed_ = false;
};

// All columns in groups as wide as a tile: quads of signed bytes, group after group, and what the rows' 128 must be
// taken back by.
class ByteColumns {
 public:
  // copies: of the instruction set, if it has any.
  void fill(const Operand& o, const isa::WordSteps& steps, const isa::Copies* copies, std::int64_t width,
            bool rows_are_higher) {
    width_ = width;
    depth_ = quad_depth(o.depth());
    const std::int64_t groups = ceil_div(o.rows(), width);
    bytes_.resize(static_cast<std::size_t>(groups * width * depth_));
    groups_ = std::vector<Group>(static_cast<std::size_t>(groups));
    higher_ = rows_are_higher ? 128 : 0;
    parallel_for(groups, [&](std::int64_t g) { fill_group(o, steps, copies, g); });
  }

  struct Group {
    Norms norms;
    std::array<LineVector<std::int32_t>, kBlocks.size()> compensation;
    LineVector<std::int32_t> whole_compensation;  // over all k, mod 2^32
    std::vector<std::int32_t> sums;               // over the shortest blocks
    std::array<std::once_flag, kBlocks.size()> made;
  };

  std::int64_t groups() const { return static_cast<std::int64_t>(groups_.size()); }
  const Group& group(std::int64_t g) const { return groups_[static_cast<std::size_t>(g)]; }

  // The same with what blocks of this length need, made when a thread first asks for it.
  const Group& group(std::int64_t g, std::size_t level) {
    Group& group = groups_[static_cast<std::size_t>(g)];
    std::call_once(group.made[level], [&] { make_level(group, level); });
    return group;
  }
  const std::byte* at(std::int64_t g, std::int64_t k) const { return bytes_.data() + (g * depth_ + k) * width_; }

 private:
  void fill_group(const Operand& o, const isa::WordSteps& steps, const isa::Copies* copies, std::int64_t g) {
    Group& group = groups_[static_cast<std::size_t>(g)];
    group.norms.resize(width_, o.depth());
    const std::int64_t blocks = ceil_div(o.depth(), kShortest);
    group.sums.assign(static_cast<std::size_t>(blocks * width_), 0);
    const bool whole = (g + 1) * width_ <= o.rows() && o.depth() % 4 == 0;
    if (copies != nullptr && whole && o.storage == Storage::kInt8 && is_matrix(o) && o.stride_n == 1) {
      join_group(o, steps, *copies, g, group.norms.squares(), group.sums.data());
    } else {
      gather_group(o, steps, g, group.norms.squares(), group.sums.data());
    }
    group.norms.find_longest();
    group.whole_compensation.assign(static_cast<std::size_t>(width_), 0);
    for (std::int64_t b = 0; b < blocks; ++b)
      add_scaled(group.sums.data() + b * width_, group.whole_compensation.data());
  }

  void make_level(Group& group, std::size_t level) const {
    group.norms.take_roots(level);
    const std::int64_t together = kBlocks[level] / kShortest;
    const std::int64_t blocks = std::ssize(group.sums) / width_;
    group.compensation[level].assign(static_cast<std::size_t>(ceil_div(blocks, together) * width_), 0);
    for (std::int64_t b = 0; b < blocks; ++b) {
      add_scaled(group.sums.data() + b * width_, group.compensation[level].data() + b / together * width_);
    }
  }

  // Columns that are neighbours: quads are joined row by row.
  void join_group(const Operand& o, const isa::WordSteps& steps, const isa::Copies& copies, std::int64_t g,
                  std::int32_t* squares, std::int32_t* sums) {
    const auto* from = static_cast<const std::int8_t*>(o.data) + g * width_;
    std::byte* out = bytes_.data() + g * width_ * depth_;
    for (std::int64_t k = 0; k < depth_; k += kShortest) {
      const std::int64_t fours = std::min(kShortest, depth_ - k) / 4, at = k / kShortest * width_;
      std::byte* quads = out + k * width_;
      copies.join_rows(from + k * o.stride_c, o.stride_c, fours, width_, reinterpret_cast<std::uint32_t*>(quads),
                       width_, sums + at);
      steps.squares(quads, fours, width_, squares + at);
    }
  }

  void gather_group(const Operand& o, const isa::WordSteps& steps, std::int64_t g, std::int32_t* squares,
                    std::int32_t* sums) {
    LineVector<std::int8_t> row(static_cast<std::size_t>(ceil_div(o.depth(), kShortest) * kShortest), 0);
    const std::int64_t first = g * width_;
    std::byte* out = bytes_.data() + first * depth_;
    for (std::int64_t c = 0; c < width_; ++c) {
      if (first + c < o.rows()) {
        generic::gather<std::int8_t>(o, first + c, 0, o.depth(), 0, row.data());
        steps.measure(reinterpret_cast<const std::uint8_t*>(row.data()), std::ssize(row), true, width_, squares + c,
                      sums + c);
      } else {
        std::fill(row.begin(), row.end(), std::int8_t{0});
      }
      for (std::int64_t k = 0; k < depth_; k += 4) __builtin_memcpy(out + k * width_ + c * 4, row.data() + k, 4);
    }
  }

  void add_scaled(const std::int32_t* sums, std::int32_t* to) const {
    for (std::int64_t c = 0; c < width_; ++c) {
      to[c] =
          static_cast<std::int32_t>(static_cast<std::uint32_t>(to[c]) + static_cast<std::uint32_t>(sums[c]) * higher_);
    }
  }

  LineVector<std::byte> bytes_;
  std::vector<Group> groups_;
  std::int64_t width_ = 1, depth_ = 0;
  std::uint32_t higher_ = 0;  // by how much rows are stored higher than they are
};

}  // namespace fxsim::steps
