// How many words are not 0, counted as they are written, so that products that meet them need not look again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

namespace fxsim {

// Of words (n, y, x, c) that stand together in this order.
struct WordCounts {
  using Shape = std::array<std::int64_t, 4>;

  explicit WordCounts(const Shape& given)
      : shape(given),
        places(static_cast<std::size_t>(given[1] * given[2] * given[3])),
        pixels(std::make_unique<std::uint16_t[]>(static_cast<std::size_t>(given[0] * given[1] * given[2]))) {}

  // Whether counts, and sums of those of one channel or of one pixel, fit their types.
  static constexpr bool holds(const Shape& given) {
    constexpr std::int64_t kMostPixels = std::numeric_limits<std::uint32_t>::max();
    constexpr std::int64_t kMostChannels = std::numeric_limits<std::uint16_t>::max();
    return given[0] * given[1] * given[2] <= kMostPixels && given[3] <= kMostChannels;
  }

  Shape shape;
  std::vector<std::uint32_t> places;        // at (y, x, c): images
  std::unique_ptr<std::uint16_t[]> pixels;  // at (n, y, x): channels
  std::int64_t total = 0;
};

}  // namespace fxsim
