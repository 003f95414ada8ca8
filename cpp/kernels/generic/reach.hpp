// Which pixels of an operand meet which of its elements, tap by tap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/word_counts.hpp"
#include "numbers/operand.hpp"

namespace fxsim::generic {

// The pixels of one axis that meet an element through one tap, and the positions they meet: both evenly spaced, for
// those are the solutions of an equation modulo `div` that lie in a range.
struct Reach {
  std::int64_t pixel = 0, pixel_step = 1;
  std::int64_t position = 0, position_step = 1;
  std::int64_t count = 0;
};

inline Reach reach(const AxisMap& map, std::int64_t pixels, std::int64_t tap) {
  Reach r;
  for (std::int64_t pixel = 0; pixel < pixels; ++pixel) {
    const std::int64_t position = map.position(pixel, tap);
    if (position == AxisMap::kOutside) continue;
    if (r.count == 0) {
      r.pixel = pixel;
      r.position = position;
    } else if (r.count == 1) {
      r.pixel_step = pixel - r.pixel;
      r.position_step = position - r.position;
    }
    ++r.count;
  }
  return r;
}

inline std::vector<Reach> reaches(const AxisMap& map, std::int64_t pixels, std::int64_t taps) {
  std::vector<Reach> all;
  for (std::int64_t tap = 0; tap < taps; ++tap) all.push_back(reach(map, pixels, tap));
  return all;
}

inline StridedArray elements(const Operand& o) {
  StridedArray array;
  array.data = o.data;
  array.storage = o.storage;
  array.dims = 4;
  array.shape = {o.pixels.n, o.map_y.size, o.map_x.size, o.taps.c};
  array.strides = {o.stride_n, o.stride_y, o.stride_x, o.stride_c};
  return array;
}

inline Operand advanced(const Operand& o, std::int64_t steps) {
  Operand next = o;
  next.data = fxsim::advanced(o.data, o.storage, steps);
  return next;
}

inline std::size_t size_of(std::int64_t count) { return static_cast<std::size_t>(count); }

// Whether the elements of an operand are words counted together.
inline bool are_all_of(const WordCounts& counts, const Operand& o) {
  std::int64_t stride = 1;
  const StridedArray array = elements(o);
  for (std::size_t d = counts.shape.size(); d-- > 0;) {
    if (array.shape[d] != counts.shape[d] || array.strides[d] != stride) return false;
    stride *= array.shape[d];
  }
  return true;
}

}  // namespace fxsim::generic
