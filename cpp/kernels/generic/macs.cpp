// An element stands in many places of its matrix, so places are not visited one by one: what they share is added up
// first. Where k is a tap, that is the images; where k is a pixel, the channels.
#include "kernels/generic/macs.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <numeric>
#include <vector>

#include "kernels/generic/non_zero.hpp"
#include "kernels/parallel.hpp"
#include "numbers/integers.hpp"

namespace fxsim::generic {
namespace {

using Sums = std::vector<std::int64_t>;
using Counts = std::vector<std::uint32_t>;

// The pixels of one axis that meet an element through one tap, and the positions they meet: both evenly spaced, for
// those are the solutions of an equation modulo `div` that lie in a range.
struct Reach {
  std::int64_t pixel = 0, pixel_step = 1;
  std::int64_t position = 0, position_step = 1;
  std::int64_t count = 0;
};

Reach reach(const AxisMap& map, std::int64_t pixels, std::int64_t tap) {
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

std::vector<Reach> reaches(const AxisMap& map, std::int64_t pixels, std::int64_t taps) {
  std::vector<Reach> all;
  for (std::int64_t tap = 0; tap < taps; ++tap) all.push_back(reach(map, pixels, tap));
  return all;
}

StridedArray elements(const Operand& o) {
  StridedArray array;
  array.data = o.data;
  array.storage = o.storage;
  array.dims = 4;
  array.shape = {o.pixels.n, o.map_y.size, o.map_x.size, o.taps.c};
  array.strides = {o.stride_n, o.stride_y, o.stride_x, o.stride_c};
  return array;
}

Operand advanced(const Operand& o, std::int64_t steps) {
  Operand next = o;
  next.data = fxsim::advanced(o.data, o.storage, steps);
  return next;
}

std::size_t size_of(std::int64_t count) { return static_cast<std::size_t>(count); }

void add(const std::int64_t* from, std::int64_t count, std::int64_t* sums) {
  for (std::int64_t i = 0; i < count; ++i) sums[i] += from[i];
}

std::int64_t dot(const std::int64_t* a, const std::int64_t* b, std::int64_t count) {
  return std::inner_product(a, a + count, b, std::int64_t{0});
}

// Of an operand whose k runs over taps, at each k: rows that meet an element, and rows that meet one other than 0.
struct ByTap {
  Sums valid, found;
  std::int64_t nnz = 0;
};

// `places` has the counts of each (y, x) from the operand's first channel on, `spacing` apart.
ByTap by_tap(const Operand& o, const std::int64_t* places, std::int64_t spacing) {
  const std::int64_t width = o.map_x.size, channels = o.taps.c;
  ByTap out{Sums(size_of(o.depth())), Sums(size_of(o.depth())), 0};
  for (std::int64_t i = 0; i < o.map_y.size * width; ++i) {
    out.nnz += std::accumulate(places + i * spacing, places + i * spacing + channels, std::int64_t{0});
  }
  const std::vector<Reach> columns = reaches(o.map_x, o.pixels.x, o.taps.x);
  Sums line(size_of(width * channels)), sums(size_of(channels));
  for (std::int64_t ty = 0; ty < o.taps.y; ++ty) {
    const Reach row = reach(o.map_y, o.pixels.y, ty);
    std::ranges::fill(line, 0);
    for (std::int64_t i = 0; i < row.count; ++i) {
      const std::int64_t* from = places + (row.position + i * row.position_step) * width * spacing;
      if (spacing == channels) {
        add(from, width * channels, line.data());
      } else {
        for (std::int64_t x = 0; x < width; ++x) add(from + x * spacing, channels, line.data() + x * channels);
      }
    }
    for (std::int64_t tx = 0; tx < o.taps.x; ++tx) {
      const Reach& column = columns[size_of(tx)];
      std::ranges::fill(sums, 0);
      for (std::int64_t i = 0; i < column.count; ++i) {
        add(line.data() + (column.position + i * column.position_step) * channels, channels, sums.data());
      }
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
  TapCounts(const Operand& o, std::int64_t step, std::int64_t times, const isa::NonZero& kernels)
      : kernels_(kernels), operand_(o), step_(step), together_(times > 1 && step == o.taps.c * o.stride_c) {
    Operand all = o;
    if (together_) all.taps.c *= times;
    spacing_ = all.taps.c;
    count(all);
    if (!together_) first_ = by_tap(o, places_.data(), spacing_);
  }

  ByTap product(std::int64_t i) {
    if (together_) return by_tap(operand_, places_.data() + i * operand_.taps.c, spacing_);
    if (i == 0 || step_ == 0) return first_;
    const Operand own = advanced(operand_, i * step_);
    count(own);
    return by_tap(own, places_.data(), spacing_);
  }

 private:
  void count(const Operand& o) {
    places_.resize(size_of(o.map_y.size * o.map_x.size * o.taps.c));
    count_images(elements(o), kernels_, places_.data());
  }

  const isa::NonZero& kernels_;
  Operand operand_;
  std::int64_t step_;
  bool together_;
  std::int64_t spacing_;
  Sums places_;
  ByTap first_;
};

MacCounts count_taps(const Operand& a, const Operand& b, const Repeat& repeat, const isa::NonZero& kernels) {
  TapCounts of_a(a, repeat.a, repeat.count, kernels), of_b(b, repeat.b, repeat.count, kernels);
  MacCounts total;
  for (std::int64_t i = 0; i < repeat.count; ++i) {
    const ByTap x = of_a.product(i), y = of_b.product(i);
    const std::int64_t depth = a.depth();
    total.merge({dot(x.valid.data(), y.valid.data(), depth), dot(x.found.data(), y.valid.data(), depth),
                 dot(x.valid.data(), y.found.data(), depth), dot(x.found.data(), y.found.data(), depth), x.nnz, y.nnz});
  }
  return total;
}

// Of an operand whose k runs over pixels, an image at a time: taps of each pixel that meet an element other than 0.
// They are fewer than the elements of a weight, so 32 bits hold them.
class PixelCounts {
 public:
  PixelCounts(const Operand& o, const isa::NonZero& kernels)
      : kernels_(kernels),
        operand_(o),
        rows_(reaches(o.map_y, o.pixels.y, o.taps.y)),
        columns_(reaches(o.map_x, o.pixels.x, o.taps.x)),
        channels_(size_of(o.map_y.size * o.map_x.size)),
        ones_(channels_.size(), 1),
        lines_(size_of(o.pixels.y * o.map_x.size)),
        found_(size_of(o.pixels.y * o.pixels.x)) {}

  // Rows that meet an element, at each pixel.
  Counts valid() const {
    const Counts y = meetings(rows_, operand_.pixels.y), x = meetings(columns_, operand_.pixels.x);
    Counts out;
    for (const std::uint32_t in_y : y) {
      for (const std::uint32_t in_x : x) out.push_back(static_cast<std::uint32_t>(operand_.taps.c) * in_y * in_x);
    }
    return out;
  }

  const Counts& image(std::int64_t n, std::int64_t steps) {
    const std::int64_t width = operand_.map_x.size;
    count_channels(elements(advanced(operand_, n * operand_.stride_n + steps)), kernels_, channels_.data());
    std::ranges::fill(lines_, 0);
    for (const Reach& r : rows_) {
      kernels_.add(channels_.data() + r.position * width, r.position_step * width, r.count, width,
                   lines_.data() + r.pixel * width, r.pixel_step * width);
    }
    std::ranges::fill(found_, 0);
    for (const Reach& r : columns_) add_columns(r);
    return found_;
  }

  // Of the last image.
  std::int64_t nnz() const { return kernels_.dot(channels_.data(), ones_.data(), std::ssize(ones_)); }

 private:
  static Counts meetings(const std::vector<Reach>& taps, std::int64_t pixels) {
    Counts met(size_of(pixels));
    for (const Reach& r : taps) {
      for (std::int64_t i = 0; i < r.count; ++i) ++met[size_of(r.pixel + i * r.pixel_step)];
    }
    return met;
  }

  void add_columns(const Reach& r) {
    const std::int64_t width = operand_.map_x.size, height = operand_.pixels.y, pixels = operand_.pixels.x;
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
  Operand operand_;
  std::vector<Reach> rows_, columns_;
  Counts channels_, ones_, lines_, found_;
};

MacCounts count_pixels(const Operand& a, const Operand& b, const Repeat& repeat, const isa::NonZero& kernels) {
  constexpr std::int64_t kImages = 16;
  const std::int64_t images = a.pixels.n, pixels = a.pixels.y * a.pixels.x;
  const Counts valid_a = PixelCounts(a, kernels).valid(), valid_b = PixelCounts(b, kernels).valid();
  std::vector<MacCounts> blocks(size_of(ceil_div(images, kImages)));
  parallel_for(static_cast<std::int64_t>(blocks.size()), [&](std::int64_t block) {
    PixelCounts of_a(a, kernels), of_b(b, kernels);
    MacCounts& total = blocks[size_of(block)];
    for (std::int64_t n = block * kImages; n < std::min(images, (block + 1) * kImages); ++n) {
      for (std::int64_t i = 0; i < repeat.count; ++i) {
        const Counts &x = of_a.image(n, i * repeat.a), &y = of_b.image(n, i * repeat.b);
        total.a_met += kernels.dot(x.data(), valid_b.data(), pixels);
        total.b_met += kernels.dot(valid_a.data(), y.data(), pixels);
        total.both_met += kernels.dot(x.data(), y.data(), pixels);
        total.nnz_a += of_a.nnz();
        total.nnz_b += of_b.nnz();
      }
    }
  });
  MacCounts total;
  for (const MacCounts& own : blocks) total.merge(own);
  total.valid = kernels.dot(valid_a.data(), valid_b.data(), pixels) * images * repeat.count;
  return total;
}

}  // namespace

MacCounts count_macs(const Operand& a, const Operand& b, const Repeat& repeat, const isa::NonZero& kernels) {
  if (repeat.count == 0) return {};
  return a.transposed ? count_pixels(a, b, repeat, kernels) : count_taps(a, b, repeat, kernels);
}

}  // namespace fxsim::generic
