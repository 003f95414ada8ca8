// Sums of an outer product's stored elements over the pixels of a slab, where the other operand's offset needs them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/isa/isa.hpp"

namespace fxsim::exact {

class StoredSums {
 public:
  // The right operand is seen through a window: `vectors` are the bytes from its pixel to each vector of it. It moves
  // by `step` bytes from pixel to pixel, of which a line has `width`, and by `line` bytes from line to line.
  StoredSums(const isa::Outer& outer, std::span<const std::int64_t> vectors, std::int64_t step, std::int64_t line,
             std::int64_t width)
      : outer_(outer), step_(step), line_(line), width_(width) {
    for (std::size_t v = 0; v < vectors.size(); ++v) {
      vectors_.push_back(
          {vectors[v], place_of(vectors[v] - step, vectors, v), place_of(vectors[v] - line, vectors, v)});
    }
  }

  // to[v * lanes + i] += group i of vector v, summed over `lines` lines from the window's first pixel on.
  void add_right(const std::byte* window, std::int64_t lines, std::int64_t* to) const {
    const auto most_width = std::clamp<std::int64_t>(width_, 1, kMostPixels), most_lines = kMostPixels / most_width;
    for (std::int64_t l = 0; l < lines; l += most_lines) {
      for (std::int64_t x = 0; x < width_; x += most_width) {
        add_part(window + l * line_ + x * step_, std::min(lines - l, most_lines), std::min(width_ - x, most_width), to);
      }
    }
  }

  // to[c] += channel c of the left operand, of which there are `channels`, summed over as many pixels.
  void add_left(const std::byte* left, std::int64_t channels, std::int64_t pixels, std::int64_t* to) const {
    for (std::int64_t first = 0; first < pixels; first += kMostPixels) {
      const std::int64_t count = std::min(pixels - first, kMostPixels);
      for (std::int64_t c = 0; c < channels; c += outer_.lanes) {
        std::int32_t sums[isa::kMostTileCols] = {};
        const std::byte* const at = left + (first * channels + c) * 4;
        outer_.sum({.left = at, .step = channels * 4, .pixels = count, .from = sums, .sums = sums});
        for (int i = 0; i < outer_.lanes; ++i) to[c + i] += sums[i];
      }
    }
  }

 private:
  // Of that many pixels, four bytes each, 32 bits hold a sum.
  static constexpr std::int64_t kMostPixels = std::int64_t{1} << 20;

  struct Vector {
    std::int64_t offset;
    std::ptrdiff_t pixel_before, line_before;  // the vectors that meet the same a pixel or a line earlier; -1: none
  };

  static std::ptrdiff_t place_of(std::int64_t offset, std::span<const std::int64_t> vectors, std::size_t end) {
    const auto before = vectors.first(end);
    const auto found = std::find(before.begin(), before.end(), offset);
    return found == before.end() ? -1 : found - before.begin();
  }

  // Of a rectangle. What one vector meets, its neighbour has met a pixel or a line earlier, but for an edge that it
  // left and one that it is the first to meet: only those are summed again.
  void add_part(const std::byte* window, std::int64_t lines, std::int64_t width, std::int64_t* to) const {
    const auto lanes = static_cast<std::size_t>(outer_.lanes);
    static constexpr std::int32_t kNothing[isa::kMostTileCols] = {};
    std::vector<std::int32_t> sums(vectors_.size() * lanes);
    for (std::size_t v = 0; v < vectors_.size(); ++v) {
      const Vector& own = vectors_[v];
      isa::OuterSum call{.right = window + own.offset, .step = step_, .pixels = width, .line = line_, .lines = lines};
      call.sums = sums.data() + v * lanes;
      call.from = kNothing;
      const bool along = own.pixel_before >= 0 && (own.line_before < 0 || lines <= width);
      if (along || own.line_before >= 0) {
        const auto before = static_cast<std::size_t>(along ? own.pixel_before : own.line_before);
        (along ? call.pixels : call.lines) = 1;
        call.from = sums.data() + before * lanes;
        call.less = window + vectors_[before].offset;
        call.right = call.less + (along ? width * step_ : lines * line_);
      }
      outer_.sum(call);
    }
    for (std::size_t i = 0; i < sums.size(); ++i) to[i] += sums[i];
  }

  const isa::Outer& outer_;
  std::int64_t step_, line_, width_;
  std::vector<Vector> vectors_;
};

}  // namespace fxsim::exact
