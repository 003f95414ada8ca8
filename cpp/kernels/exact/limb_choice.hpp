// Whether words are multiplied faster in limbs, whose sums stay within 32 bits, than whole, in segments that do.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/exact/scheme.hpp"
#include "kernels/exact/tile_sums.hpp"
#include "kernels/generic/gather.hpp"
#include "numbers/integers.hpp"

namespace fxsim::exact {

// Joining a segment with the sums in 64 bits takes about as long as multiplying sixteen groups.
inline bool limbs_are_faster(const Scheme& limbs, std::int64_t joins, std::int64_t groups) {
  constexpr std::int64_t kJoin = 16;
  return joins * kJoin > groups * (static_cast<std::int64_t>(limbs.passes.count) - 1);
}

// By one column, before anything is packed.
inline bool limbs_look_faster(const Scheme& whole, const Scheme& limbs, const Operand& columns) {
  if (whole.terms >= columns.depth() || columns.rows() == 0) return false;
  std::vector<std::int64_t> column(static_cast<std::size_t>(columns.depth()));
  generic::gather<std::int64_t>(columns, columns.rows() / 2, 0, columns.depth(), 0, column.data());
  std::int64_t magnitude = 0;
  for (const std::int64_t value : column) magnitude += value < 0 ? -value : value;
  return limbs_are_faster(limbs, magnitude / (INT32_MAX / whole.image_most), ceil_div(columns.depth(), 2));
}

// By what was packed and cut into segments.
inline bool limbs_are_faster(const Scheme& limbs, const std::vector<TileClass>& classes) {
  std::int64_t joins = 0, groups = 0;
  for (const TileClass& own : classes) {
    joins += own.most_segments();
    groups += own.all_groups();
  }
  return limbs_are_faster(limbs, joins, groups);
}

}  // namespace fxsim::exact
