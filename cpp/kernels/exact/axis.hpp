// One spatial axis of an operand, solved for where each tap of a pixel lies.
//
// A strided forward has one class of pixels. A dgrad of stride s has s classes, each of which meets only the taps that
// fall on an element, so that no zero between strides is ever multiplied.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "numbers/integers.hpp"
#include "numbers/operand.hpp"

namespace fxsim::exact {

// Pixel number j of a class reads position j * mul + shift.
struct TapShift {
  std::int64_t tap = 0;
  std::int64_t shift = 0;
};

// Pixels first, first + step, ...: `count` of them, numbered from 0; taps by ascending shift.
struct PixelClass {
  std::int64_t first = 0, step = 1, count = 0;
  std::vector<TapShift> taps;
};

struct Axis {
  std::int64_t mul = 0;
  std::int64_t size = 1;  // positions that hold elements: 0 .. size - 1; the others are structural zeros
  std::int64_t lowest = 0, highest = -1;  // shifts of all classes together
  std::int64_t most_pixels = 0;           // of a class
  std::vector<PixelClass> classes;

  // Positions that pixels j, j + 1, ..., j + pixels - 1 of every class need, from that of j's lowest shift on.
  std::int64_t extent(std::int64_t pixels) const {
    return pixels <= 0 || highest < lowest ? 0 : (pixels - 1) * mul + highest - lowest + 1;
  }
};

inline Axis plan_axis(const AxisMap& map, std::int64_t pixels, std::int64_t taps) {
  Axis axis;
  axis.mul = map.div == 1 ? map.pixel_mul : 1;
  axis.size = map.size;
  axis.lowest = INT64_MAX;
  axis.highest = INT64_MIN;
  for (std::int64_t first = 0; first < std::min(map.div, pixels); ++first) {
    PixelClass own{first, map.div, ceil_div(pixels - first, map.div), {}};
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      const std::int64_t scaled = (map.div == 1 ? 0 : first) + tap * map.tap_mul + map.offset;
      if (scaled % map.div != 0) continue;
      own.taps.push_back({tap, scaled / map.div});
      axis.lowest = std::min(axis.lowest, scaled / map.div);
      axis.highest = std::max(axis.highest, scaled / map.div);
    }
    std::sort(own.taps.begin(), own.taps.end(), [](const TapShift& a, const TapShift& b) { return a.shift < b.shift; });
    axis.most_pixels = std::max(axis.most_pixels, own.count);
    axis.classes.push_back(std::move(own));
  }
  if (axis.lowest > axis.highest) axis.lowest = 0, axis.highest = -1;
  return axis;
}

// Whether plan_axis describes the map: between strides, pixels must be neighbours.
inline bool can_plan(const AxisMap& map) {
  return map.pixel_mul >= 0 && map.div >= 1 && (map.div == 1 || map.pixel_mul == 1);
}

}  // namespace fxsim::exact
