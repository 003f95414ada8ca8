// Operands of any width as sums of 16-bit limbs, so that one multiply-add of 16-bit lanes serves them all.
//
// value = sum over j of limb_j * 2^(bits * j): the low limbs are unsigned, the last one has the sign. A limb of
// magnitude 2^p times one of 2^q may be summed 2^(31 - p - q) - 1 times in 32 bits; `block` is that many, in whole
// vectors.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/generic/gather.hpp"
#include "kernels/isa/isa.hpp"
#include "numbers/integers.hpp"
#include "numbers/operand.hpp"

namespace fxsim::generic {

struct Limbs {
  int count = 1;
  int bits = 15;  // of every limb; the last may need fewer

  constexpr int shift(int j) const { return bits * j; }
};

struct Split {
  Limbs a, b;
  std::int64_t block = isa::kDepthMultiple;  // how many k may be summed in 32 bits
};

constexpr std::int64_t padded_depth(std::int64_t depth) {
  return ceil_div(depth, isa::kDepthMultiple) * isa::kDepthMultiple;
}

constexpr std::int64_t steps_in_32_bits(int magnitude_bits) { return ((std::int64_t{1} << 31) - 1) >> magnitude_bits; }

// The fewest pairs of limbs for which at least 64 products (or all K) fit 32 bits.
inline Split choose_split(const Format& a, const Format& b, std::int64_t depth) {
  const int bits_a = a.magnitude_bits();
  const int bits_b = b.magnitude_bits();
  const std::int64_t wanted = std::min<std::int64_t>(64, padded_depth(std::max<std::int64_t>(depth, 1)));
  Split best;
  int fewest = 100;
  for (int na = 1; na <= 3; ++na) {
    for (int nb = 1; nb <= 3; ++nb) {
      const int la = std::max(1, (bits_a + na - 1) / na);
      const int lb = std::max(1, (bits_b + nb - 1) / nb);
      if (la > 15 || lb > 15 || na * nb >= fewest || steps_in_32_bits(la + lb) < wanted) continue;
      fewest = na * nb;
      best = {{na, la}, {nb, lb}, steps_in_32_bits(la + lb) / isa::kDepthMultiple * isa::kDepthMultiple};
    }
  }
  return best;  // three limbs of 11 bits serve 32-bit operands, so there always is one
}

// Rows of one operand over k0 <= k < k1 as limbs: row-major, limb after limb within a row. The rows are padded with
// rows of zeros to a multiple of row_multiple.
class LimbPanel {
 public:
  void fill(const Operand& o, const Limbs& limbs, std::int64_t row0, std::int64_t rows, std::int64_t row_multiple,
            std::int64_t k0, std::int64_t k1) {
    limbs_ = limbs;
    depth_ = padded_depth(k1 - k0);
    const std::int64_t padded = ceil_div(rows, row_multiple) * row_multiple;
    values_.resize(static_cast<std::size_t>(padded * row_stride()));
    for (std::int64_t r = 0; r < rows; ++r) {
      if (limbs.count == 1) {
        gather<std::int16_t>(o, row0 + r, k0, k1, 0, row(r, 0));
        std::fill(row(r, 0) + (k1 - k0), row(r, 0) + depth_, std::int16_t{0});
      } else if (o.format.magnitude_bits() <= 31) {
        split_row<std::int32_t>(o, row0 + r, r, k0, k1);
      } else {
        split_row<std::int64_t>(o, row0 + r, r, k0, k1);
      }
    }
    std::fill(values_.begin() + rows * row_stride(), values_.end(), std::int16_t{0});
  }

  std::int16_t* row(std::int64_t r, int limb) { return values_.data() + (r * limbs_.count + limb) * depth_; }
  const std::int16_t* row(std::int64_t r, int limb) const {
    return values_.data() + (r * limbs_.count + limb) * depth_;
  }
  std::int64_t depth() const { return depth_; }
  std::int64_t row_stride() const { return depth_ * limbs_.count; }

 private:
  template <class T>
  void split_row(const Operand& o, std::int64_t source, std::int64_t r, std::int64_t k0, std::int64_t k1) {
    const auto count = k1 - k0;
    static thread_local std::vector<T> whole;
    whole.assign(static_cast<std::size_t>(depth_), T{0});
    gather<T>(o, source, k0, k1, T{0}, whole.data());
    const T mask = static_cast<T>((T{1} << limbs_.bits) - 1);
    for (int j = 0; j < limbs_.count; ++j) {
      const int shift = limbs_.shift(j);
      std::int16_t* out = row(r, j);
      if (j + 1 < limbs_.count) {
        for (std::int64_t k = 0; k < count; ++k) {
          out[k] = static_cast<std::int16_t>(whole[static_cast<std::size_t>(k)] >> shift & mask);
        }
      } else {
        for (std::int64_t k = 0; k < count; ++k) {
          out[k] = static_cast<std::int16_t>(whole[static_cast<std::size_t>(k)] >> shift);
        }
      }
      std::fill(out + count, out + depth_, std::int16_t{0});
    }
  }

  std::vector<std::int16_t> values_;
  Limbs limbs_;
  std::int64_t depth_ = 0;
};

}  // namespace fxsim::generic
