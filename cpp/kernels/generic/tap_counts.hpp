// Of an operand whose k runs over taps. An element stands in many rows, so rows are not visited one by one: what images
// share is added up first, then what rows of pixels share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "kernels/generic/non_zero.hpp"
#include "kernels/generic/reach.hpp"

namespace fxsim::generic {

using Sums = std::vector<std::int64_t>;

// At each k: rows that meet an element, and rows that meet one other than 0.
struct ByTap {
  Sums valid, found;
  std::int64_t nnz = 0;
};

// `places` has the counts of each (y, x) from the operand's first channel on, `spacing` apart; no sum of a channel's
// leaves their type.
template <class Count>
ByTap by_tap(const Operand& o, const Count* places, std::int64_t spacing, const isa::NonZero& kernels) {
  const std::int64_t width = o.map_x.size, channels = o.taps.c;
  ByTap out{Sums(size_of(o.depth())), Sums(size_of(o.depth())), 0};
  const std::vector<Reach> columns = reaches(o.map_x, o.pixels.x, o.taps.x);
  std::vector<Count> line(size_of(width * channels)), sums(size_of(channels));
  for (std::int64_t ty = 0; ty < o.taps.y; ++ty) {
    const Reach row = reach(o.map_y, o.pixels.y, ty);
    const Count* from = places + row.position * width * spacing;
    const std::int64_t stride = row.position_step * width * spacing;
    std::ranges::fill(line, Count{0});
    if (spacing == channels) {
      add(kernels, from, stride, row.count, width * channels, line.data(), 0);
    } else {
      for (std::int64_t x = 0; x < width; ++x) {
        add(kernels, from + x * spacing, stride, row.count, channels, line.data() + x * channels, 0);
      }
    }
    for (std::int64_t tx = 0; tx < o.taps.x; ++tx) {
      const Reach& column = columns[size_of(tx)];
      std::ranges::fill(sums, Count{0});
      add(kernels, line.data() + column.position * channels, column.position_step * channels, column.count, channels,
          sums.data(), 0);
      for (std::int64_t c = 0; c < channels; ++c) {
        const std::int64_t k =
            o.channel_major ? (c * o.taps.y + ty) * o.taps.x + tx : (ty * o.taps.x + tx) * channels + c;
        out.valid[size_of(k)] = o.pixels.n * row.count * column.count;
        out.found[size_of(k)] = sums[size_of(c)];
      }
    }
  }
  return out;
}

// Of an operand in every product. Groups of channels that stand side by side are looked at together.
class TapCounts {
 public:
  TapCounts(const Operand& o, std::int64_t step, std::int64_t times, const WordCounts* counts,
            const isa::NonZero& kernels)
      : kernels_(kernels), operand_(o), step_(step), together_(times > 1 && step == o.taps.c * o.stride_c) {
    if (counts != nullptr) {
      first_ = by_tap(o, counts->places.data(), o.taps.c, kernels);
      first_.nnz = counts->total;
      return;
    }
    Operand all = o;
    if (together_) all.taps.c *= times;
    spacing_ = all.taps.c;
    count(all);
    if (!together_) first_ = of_channels(o, 0);
  }

  ByTap product(std::int64_t i) {
    if (together_) return of_channels(operand_, i * operand_.taps.c);
    if (i == 0 || step_ == 0) return first_;
    const Operand own = advanced(operand_, i * step_);
    count(own);
    return of_channels(own, 0);
  }

 private:
  void count(const Operand& o) {
    places_.resize(size_of(o.map_y.size * o.map_x.size * o.taps.c));
    count_images(elements(o), kernels_, places_.data());
  }

  ByTap of_channels(const Operand& o, std::int64_t first) const {
    const std::int64_t* places = places_.data() + first;
    ByTap out = by_tap(o, places, spacing_, kernels_);
    for (std::int64_t i = 0; i < o.map_y.size * o.map_x.size; ++i) {
      out.nnz += std::accumulate(places + i * spacing_, places + i * spacing_ + o.taps.c, std::int64_t{0});
    }
    return out;
  }

  const isa::NonZero& kernels_;
  Operand operand_;
  std::int64_t step_;
  bool together_;
  std::int64_t spacing_ = 0;
  Sums places_;
  ByTap first_;
};

}  // namespace fxsim::generic
