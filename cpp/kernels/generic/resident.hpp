// The operand that is packed whole, once a call: rows in groups as wide as the multiply-add block, each limb as that
// block wants it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/generic/limbs.hpp"
#include "kernels/isa/isa.hpp"
#include "kernels/parallel.hpp"

namespace fxsim::generic {

class Resident {
 public:
  void fill(const Operand& o, const Limbs& limbs, const isa::Block& block) {
    cols_ = block.cols;
    pairs_ = block.pairs;
    limbs_ = limbs.count;
    depth_ = padded_depth(o.depth());
    groups_ = ceil_div(o.rows(), cols_);
    values_.resize(static_cast<std::size_t>(groups_ * limbs_ * cols_ * depth_));
    parallel_for(groups_, [&](std::int64_t g) {
      LimbPanel panel;
      const std::int64_t first = g * cols_;
      panel.fill(o, limbs, first, std::min(cols_, o.rows() - first), cols_, 0, o.depth());
      for (int limb = 0; limb < limbs_; ++limb) pack(panel, g, limb);
    });
  }

  std::int64_t groups() const { return groups_; }
  std::int64_t row_stride() const { return depth_; }
  const std::int16_t* at(std::int64_t group, int limb, std::int64_t k) const {
    return values_.data() + start(group, limb) + (pairs_ ? k * cols_ : k);
  }

 private:
  std::int64_t start(std::int64_t group, int limb) const { return (group * limbs_ + limb) * cols_ * depth_; }

  void pack(const LimbPanel& panel, std::int64_t group, int limb) {
    std::int16_t* out = values_.data() + start(group, limb);
    for (std::int64_t c = 0; c < cols_; ++c) {
      const std::int16_t* row = panel.row(c, limb);
      if (!pairs_) {
        std::copy_n(row, depth_, out + c * depth_);
        continue;
      }
      for (std::int64_t k = 0; k < depth_; k += 2) {
        out[k * cols_ + 2 * c] = row[k];
        out[k * cols_ + 2 * c + 1] = row[k + 1];
      }
    }
  }

  std::vector<std::int16_t> values_;
  std::int64_t cols_ = 1, depth_ = 0, groups_ = 0;
  int limbs_ = 1;
  bool pairs_ = false;
};

// The block that pads `columns` least; a narrower one is a little slower.
inline const isa::Block& choose_block(const isa::Kernels& kernels, std::int64_t columns) {
  const isa::Block* best = &kernels.blocks[0];
  std::int64_t least = 0;
  std::int64_t cost_percent = 100;
  for (int choice = 0; choice < isa::kBlockChoices; ++choice) {
    const isa::Block& block = kernels.blocks[choice];
    const std::int64_t cost = ceil_div(columns, block.cols) * block.cols * cost_percent;
    if (least == 0 || cost < least) {
      least = cost;
      best = &block;
    }
    cost_percent += 15;
  }
  return *best;
}

}  // namespace fxsim::generic
