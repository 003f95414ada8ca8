// How far the sums of a panel go before they may leave 32 bits.
//
// An element of the image is at most m in magnitude, so the sum of its products with some elements of a column is at
// most m times the sum of their magnitudes. While that sum stays within (2^31 - 1) / m for every column and each of its
// elements, whatever the image holds, a sum in 32 bits is exact.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "kernels/exact/panels.hpp"
#include "kernels/isa/tile.hpp"

namespace fxsim::exact {

// Some groups of some runs: whole runs, or groups of a single one.
struct Segment {
  std::int64_t run = 0, runs = 0, group = 0, groups = 0;
};

class SegmentCutter {
 public:
  SegmentCutter(const RunPlan& plan, const Panels& panels, std::int64_t panel, std::int64_t image_most)
      : plan_(plan),
        panels_(panels),
        panel_(panel),
        limit_(static_cast<std::uint32_t>(INT32_MAX / image_most)),
        sums_(static_cast<std::size_t>(panels.limbs() * panels.cols())) {}

  // False: one group is too large.
  bool run(std::vector<Segment>& segments) {
    Segment whole{0, 0, 0, plan_.groups()};
    for (std::int64_t r = 0; r < plan_.runs(); ++r) {
      if (add(r, 0, plan_.groups())) {
        ++whole.runs;
        continue;
      }
      if (whole.runs > 0) segments.push_back(whole);
      const bool alone = whole.runs > 0 && (restart(), add(r, 0, plan_.groups()));
      whole = {alone ? r : r + 1, alone ? 1 : 0, 0, plan_.groups()};
      if (!alone && !cut_run(r, segments)) return false;
    }
    if (whole.runs > 0) segments.push_back(whole);
    return true;
  }

 private:
  void restart() { std::fill(sums_.begin(), sums_.end(), 0); }

  bool cut_run(std::int64_t r, std::vector<Segment>& segments) {
    restart();
    std::int64_t first = 0;
    for (std::int64_t g = 0; g < plan_.groups(); ++g) {
      if (add(r, g, 1)) continue;
      if (g == first) return false;
      segments.push_back({r, 1, first, g - first});
      restart();
      first = g;
      if (!add(r, g, 1)) return false;
    }
    segments.push_back({r, 1, first, plan_.groups() - first});
    restart();
    return true;
  }

  // Whether all sums stay within the limit with these groups; if not, what they hold means nothing.
  bool add(std::int64_t r, std::int64_t group, std::int64_t count) {
    constexpr std::int64_t kPiece = 1 << 12;  // 2^12 groups of at most 2^16 do not wrap what is within 2^31
    for (std::int64_t done = 0; done < count; done += kPiece) {
      const std::int64_t first = r * plan_.groups() + group + done;
      const std::int64_t groups = std::min(kPiece, count - done);
      for (int limb = 0; limb < panels_.limbs(); ++limb) {
        const std::byte* from = panels_.at(panel_, limb) + first * panels_.cols() * 4;
        std::uint32_t* sums = sums_.data() + limb * panels_.cols();
        if (plan_.element_bytes == 1) {
          add_magnitudes(reinterpret_cast<const std::int8_t*>(from), groups, panels_.cols(), sums);
        } else {
          add_magnitudes(reinterpret_cast<const std::int16_t*>(from), groups, panels_.cols(), sums);
        }
      }
      if (*std::max_element(sums_.begin(), sums_.end()) > limit_) return false;
    }
    return true;
  }

  template <class T>
  static void add_magnitudes(const T* __restrict from, std::int64_t groups, int cols, std::uint32_t* __restrict sums) {
    constexpr int kGroup = 4 / sizeof(T);
    using Magnitude = std::make_unsigned_t<T>;  // narrow lanes
    std::uint32_t places[isa::kMostTileCols * kGroup] = {};
    const int width = cols * kGroup;
    for (std::int64_t g = 0; g < groups; ++g) {
      for (int i = 0; i < width; ++i) {
        places[i] += static_cast<Magnitude>(from[i] < 0 ? -from[i] : from[i]);
      }
      from += width;
    }
    for (int j = 0; j < cols; ++j) {
      for (int q = 0; q < kGroup; ++q) sums[j] += places[j * kGroup + q];
    }
  }

  const RunPlan& plan_;
  const Panels& panels_;
  std::int64_t panel_;
  std::uint32_t limit_;
  std::vector<std::uint32_t> sums_;  // of magnitudes, by limb and column
};

}  // namespace fxsim::exact
