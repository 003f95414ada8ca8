// What the pixels of an operand meet through its taps: which rows of it there are, and sums of what stands there.
#pragma once

#include <algorithm>
#include <cstdint>
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

  std::int64_t places() const { return operand.map_y.size * operand.map_x.size; }
  std::int64_t pixels() const { return operand.pixels.y * operand.pixels.x; }

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

// Counts of an image's places, added up for each pixel over the taps that meet them; no sum leaves their type.
template <class Count>
class TapSums {
 public:
  TapSums(const PixelTaps& taps, const isa::NonZero& kernels)
      : kernels_(kernels),
        taps_(taps),
        lines_(size_of(taps.operand.pixels.y * taps.operand.map_x.size)),
        sums_(size_of(taps.pixels())) {}

  // The counts themselves where every pixel meets just its own, else what holds until the next call.
  const Count* of(const Count* counts) {
    if (taps_.sees_itself) return counts;
    std::ranges::fill(lines_, Count{0});
    for (const Reach& r : taps_.rows) add_rows(counts, r);
    std::ranges::fill(sums_, Count{0});
    for (const Reach& r : taps_.columns) add_columns(r);
    return sums_.data();
  }

 private:
  // Rows that stand together are one long row.
  void add_rows(const Count* counts, const Reach& r) {
    const std::int64_t width = taps_.operand.map_x.size;
    const bool together = r.pixel_step == 1 && r.position_step == 1;
    add(kernels_, counts + r.position * width, r.position_step * width, together ? 1 : r.count,
        together ? r.count * width : width, lines_.data() + r.pixel * width, r.pixel_step * width);
  }

  void add_columns(const Reach& r) {
    const Operand& o = taps_.operand;
    const std::int64_t width = o.map_x.size, height = o.pixels.y, pixels = o.pixels.x;
    const Count* lines = lines_.data() + r.position;
    Count* sums = sums_.data() + r.pixel;
    if (r.pixel_step == 1 && r.position_step == 1) {
      if (width == pixels && width - r.count <= kFewBetween && r.count > 0) return add_at_once(lines, sums, r.count);
      return add(kernels_, lines, width, height, r.count, sums, pixels);
    }
    for (std::int64_t y = 0; y < height; ++y) {
      for (std::int64_t i = 0; i < r.count; ++i) {
        Count& sum = sums[y * pixels + i * r.pixel_step];
        sum = static_cast<Count>(sum + lines[y * width + i * r.position_step]);
      }
    }
  }

  // As one long row; what stands between two rows is taken out again.
  void add_at_once(const Count* lines, Count* sums, std::int64_t count) {
    const std::int64_t width = taps_.operand.map_x.size, height = taps_.operand.pixels.y;
    add(kernels_, lines, 0, 1, (height - 1) * width + count, sums, 0);
    for (std::int64_t y = 0; y + 1 < height; ++y) {
      for (std::int64_t i = y * width + count; i < (y + 1) * width; ++i) {
        sums[i] = static_cast<Count>(sums[i] - lines[i]);
      }
    }
  }

  static constexpr std::int64_t kFewBetween = 4;

  const isa::NonZero& kernels_;
  const PixelTaps& taps_;
  std::vector<Count> lines_, sums_;
};

}  // namespace fxsim::generic
