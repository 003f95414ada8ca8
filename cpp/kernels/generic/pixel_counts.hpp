// Of an operand whose k runs over pixels, an image at a time: elements that are not 0 are added up channel by channel
// first, then tap by tap.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "kernels/generic/non_zero.hpp"
#include "kernels/generic/reach.hpp"

namespace fxsim::generic {

// Counts at each pixel: of taps, which are fewer than the elements of a weight, so 32 bits hold them.
using Counts = std::vector<std::uint32_t>;

// What an operand's pixels see through its taps, whatever is there.
struct PixelTaps {
  explicit PixelTaps(const Operand& o)
      : operand(o), rows(reaches(o.map_y, o.pixels.y, o.taps.y)), columns(reaches(o.map_x, o.pixels.x, o.taps.x)) {}

  // Rows of the operand that meet an element.
  Counts valid() const {
    const Counts y = meetings(rows, operand.pixels.y), x = meetings(columns, operand.pixels.x);
    Counts out;
    for (const std::uint32_t in_y : y) {
      for (const std::uint32_t in_x : x) out.push_back(static_cast<std::uint32_t>(operand.taps.c) * in_y * in_x);
    }
    return out;
  }

  static Counts meetings(const std::vector<Reach>& taps, std::int64_t pixels) {
    Counts met(size_of(pixels));
    for (const Reach& r : taps) {
      for (std::int64_t i = 0; i < r.count; ++i) ++met[size_of(r.pixel + i * r.pixel_step)];
    }
    return met;
  }

  static bool is_every_element(const std::vector<Reach>& taps, std::int64_t pixels, std::int64_t size) {
    return taps.size() == 1 && pixels == size && taps[0].count == size && taps[0].position == 0 &&
           taps[0].position_step == 1;
  }

  Operand operand;
  std::vector<Reach> rows, columns;
  bool sees_itself = is_every_element(rows, operand.pixels.y, operand.map_y.size) &&
                     is_every_element(columns, operand.pixels.x, operand.map_x.size);
};

class PixelCounts {
 public:
  PixelCounts(const PixelTaps& taps, const WordCounts* counts, const isa::NonZero& kernels)
      : kernels_(kernels),
        taps_(taps),
        counts_(counts),
        channels_(size_of(taps.operand.map_y.size * taps.operand.map_x.size)),
        sums_(channels_.size()),
        lines_(size_of(taps.operand.pixels.y * taps.operand.map_x.size)),
        found_(size_of(taps.operand.pixels.y * taps.operand.pixels.x)) {}

  // Taps that meet an element other than 0.
  const Counts& image(std::int64_t n, std::int64_t steps) {
    const Operand& o = taps_.operand;
    const auto places = static_cast<std::int64_t>(channels_.size());
    if (counts_ != nullptr) {
      kernels_.widen(counts_->pixels.get() + n * places, places, channels_.data());
    } else {
      count_channels(elements(advanced(o, n * o.stride_n + steps)), kernels_, channels_.data());
    }
    kernels_.add(channels_.data(), 0, 1, places, sums_.data(), 0);
    return found(channels_);
  }

  // The same of the images since the last call together, while 32 bits hold that; their elements are added to nnz.
  const Counts& images(std::int64_t& nnz) {
    nnz = std::accumulate(sums_.begin(), sums_.end(), nnz);
    const Counts& met = found(sums_);
    if (taps_.sees_itself) found_ = met;
    std::ranges::fill(sums_, 0);
    return found_;
  }

 private:
  // Of elements by place, those that each pixel's taps meet.
  const Counts& found(const Counts& elements) {
    if (taps_.sees_itself) return elements;
    const std::int64_t width = taps_.operand.map_x.size;
    std::ranges::fill(lines_, 0);
    for (const Reach& r : taps_.rows) {
      kernels_.add(elements.data() + r.position * width, r.position_step * width, r.count, width,
                   lines_.data() + r.pixel * width, r.pixel_step * width);
    }
    std::ranges::fill(found_, 0);
    for (const Reach& r : taps_.columns) add_columns(r);
    return found_;
  }

  void add_columns(const Reach& r) {
    const Operand& o = taps_.operand;
    const std::int64_t width = o.map_x.size, height = o.pixels.y, pixels = o.pixels.x;
    if (r.pixel_step == 1 && r.position_step == 1) {
      kernels_.add(lines_.data() + r.position, width, height, r.count, found_.data() + r.pixel, pixels);
      return;
    }
    for (std::int64_t y = 0; y < height; ++y) {
      const std::uint32_t* line = lines_.data() + y * width + r.position;
      std::uint32_t* found = found_.data() + y * pixels + r.pixel;
      for (std::int64_t i = 0; i < r.count; ++i) found[i * r.pixel_step] += line[i * r.position_step];
    }
  }

  const isa::NonZero& kernels_;
  const PixelTaps& taps_;
  const WordCounts* counts_;
  Counts channels_, sums_, lines_, found_;
};

}  // namespace fxsim::generic
