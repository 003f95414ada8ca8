// The operand that is packed whole, once a call: its rows are the columns of tiles, in panels as wide as a tile, their
// elements in the order in which a pixel's runs are walked.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/exact/elements.hpp"
#include "kernels/generic/gather.hpp"
#include "kernels/parallel.hpp"
#include "numbers/operand.hpp"

namespace fxsim::exact {

// The taps that a class of pixels meets, run after run; taps of a run are neighbours in the image.
struct RunPlan {
  std::vector<std::int64_t> offsets;  // of each run in the image
  std::vector<std::int64_t> taps;     // first k of each tap in the operand's own order
  std::int64_t taps_a_run = 0;
  std::int64_t channels = 0;
  int element_bytes = 1;

  std::int64_t runs() const { return static_cast<std::int64_t>(offsets.size()); }
  std::int64_t groups() const { return ceil_div(taps_a_run * channels * element_bytes, 4); }
  std::int64_t terms() const { return runs() * taps_a_run * channels; }
};

class Panels {
 public:
  void fill(const Operand& o, const RunPlan& plan, const ElementRule& rule, int cols) {
    cols_ = cols;
    limbs_ = rule.limbs.count;
    rows_ = o.rows();
    limb_bytes_ = plan.runs() * plan.groups() * cols * 4;
    panels_ = ceil_div(rows_, cols);
    bytes_.assign(static_cast<std::size_t>(panels_ * limbs_ * limb_bytes_), std::byte{0});
    sums_.assign(static_cast<std::size_t>(panels_ * cols), 0);
    magnitudes_.assign(static_cast<std::size_t>(panels_ * cols), 0);
    parallel_for(panels_, [&](std::int64_t panel) {
      with_element(plan.element_bytes, [&](auto zero) {
        using T = decltype(zero);
        std::vector<std::int64_t> wide;
        std::vector<T> row;
        for (std::int64_t n = panel * cols; n < std::min(rows_, (panel + 1) * cols); ++n) {
          pack_row(o, plan, rule, n, wide, row);
        }
      });
    });
  }

  std::int64_t panels() const { return panels_; }
  const std::byte* at(std::int64_t panel, int limb) const {
    return bytes_.data() + (panel * limbs_ + limb) * limb_bytes_;
  }
  // Per row the sum of its values and of their magnitudes; 0 for the columns that fill up the last panel.
  const std::int64_t* sums() const { return sums_.data(); }
  std::int64_t largest_magnitude() const {
    return magnitudes_.empty() ? 0 : *std::max_element(magnitudes_.begin(), magnitudes_.end());
  }

 private:
  template <class T>
  void pack_row(const Operand& o, const RunPlan& plan, const ElementRule& rule, std::int64_t n,
                std::vector<std::int64_t>& wide, std::vector<T>& row) {
    const std::int64_t run_terms = plan.taps_a_run * plan.channels;
    const std::int64_t run_elements = plan.groups() * 4 / plan.element_bytes;
    wide.resize(static_cast<std::size_t>(plan.terms()));
    std::int64_t* next = wide.data();
    for (const std::int64_t tap : plan.taps) {
      generic::gather<std::int64_t>(o, n, tap, tap + plan.channels, 0, next);
      next += plan.channels;
    }
    std::int64_t sum = 0, magnitude = 0;
    for (const std::int64_t value : wide) {
      sum += value;
      magnitude += value < 0 ? -value : value;
    }
    sums_[static_cast<std::size_t>(n)] = sum;
    magnitudes_[static_cast<std::size_t>(n)] = magnitude;
    row.assign(static_cast<std::size_t>(plan.runs() * run_elements), T{0});
    for (int limb = 0; limb < limbs_; ++limb) {
      for (std::int64_t run = 0; run < plan.runs(); ++run) {
        rule.apply(wide.data() + run * run_terms, 1, run_terms, limb, row.data() + run * run_elements);
      }
      std::byte* to = bytes_.data() + (n / cols_ * limbs_ + limb) * limb_bytes_ + n % cols_ * 4;
      const auto* from = reinterpret_cast<const std::byte*>(row.data());
      for (std::int64_t g = 0; g < plan.runs() * plan.groups(); ++g) std::memcpy(to + g * cols_ * 4, from + g * 4, 4);
    }
  }

  std::vector<std::byte> bytes_;
  std::vector<std::int64_t> sums_, magnitudes_;
  std::int64_t panels_ = 0, rows_ = 0, limb_bytes_ = 0;
  int cols_ = 1, limbs_ = 1;
};

}  // namespace fxsim::exact
