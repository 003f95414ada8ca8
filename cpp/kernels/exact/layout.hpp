// The geometry of a product: what is copied of the image operand, which taps each class of pixels meets, and how
// pixels are cut into tiles.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/exact/image.hpp"
#include "kernels/exact/panels.hpp"
#include "kernels/isa/tile.hpp"

namespace fxsim::exact {

// An operand whose pixels lie as an image: taps that are neighbours are so in a copy with channels last.
inline bool is_image(const Operand& o) {
  return !is_matrix(o) && !o.transposed && can_plan(o.map_y) && can_plan(o.map_x);
}

inline ImageLayout image_layout(const Operand& o, int element_bytes) {
  ImageLayout layout;
  layout.y = plan_axis(o.map_y, o.pixels.y, o.taps.y);
  layout.x = plan_axis(o.map_x, o.pixels.x, o.taps.x);
  layout.channels = o.taps.c;
  layout.element_bytes = element_bytes;
  layout.pixel_bytes = o.taps.c * element_bytes;
  layout.row_bytes = layout.x.extent(layout.x.most_pixels) * layout.pixel_bytes;
  return layout;
}

// Rows of a matrix as the pixels of one line. Rows whose distance is a multiple of 1 KB would share a few sets of the
// first cache, so they are moved apart by one line of it.
inline ImageLayout matrix_layout(const Operand& o, int element_bytes) {
  ImageLayout layout;
  layout.y = plan_axis({}, 1, 1);
  layout.x = plan_axis({.pixel_mul = 1, .size = o.rows()}, o.rows(), 1);
  layout.channels = o.depth();
  layout.element_bytes = element_bytes;
  layout.pixel_bytes = ceil_div(o.depth() * element_bytes, 4) * 4;
  if (layout.pixel_bytes % 1024 == 0) layout.pixel_bytes += 64;
  layout.row_bytes = layout.pixel_bytes * o.rows();
  return layout;
}

// Taps of a class that are neighbours make one run; if some are, all are, for they are evenly spaced.
inline std::int64_t taps_a_run(const PixelClass& x) {
  const bool neighbours = x.taps.size() > 1 && x.taps[1].shift == x.taps[0].shift + 1;
  return neighbours ? static_cast<std::int64_t>(x.taps.size()) : 1;
}

// The runs of pixels of class y and class x. `width` is the number of taps a row of the operand's own order has.
inline RunPlan plan_runs(const ImageLayout& layout, const PixelClass& y, const PixelClass& x, std::int64_t width) {
  RunPlan plan;
  plan.channels = layout.channels;
  plan.element_bytes = layout.element_bytes;
  plan.taps_a_run = taps_a_run(x);
  for (const TapShift& ty : y.taps) {
    for (std::size_t i = 0; i < x.taps.size(); ++i) {
      if (static_cast<std::int64_t>(i) % plan.taps_a_run == 0) {
        plan.offsets.push_back(layout.run_offset(ty, x.taps[i]));
      }
      plan.taps.push_back((ty.tap * width + x.taps[i].tap) * layout.channels);
    }
  }
  return plan;
}

// Pixels a tile takes of a line of `pixels`, as evenly as can be.
inline std::int64_t tile_rows(const isa::TileWidth& width, std::int64_t pixels) {
  const std::int64_t tiles = ceil_div(std::max<std::int64_t>(pixels, 1), width.rows);
  return ceil_div(std::max<std::int64_t>(pixels, 1), tiles);
}

// Whether pixels are neighbours and runs three pixels of whole groups, so that a band can take them.
inline bool takes_bands(const ImageLayout& layout, const PixelClass& x) {
  return layout.x.mul == 1 && layout.pixel_bytes % 4 == 0 && taps_a_run(x) == 3;
}

// The width that takes the least time for a line of pixels against all columns: a multiply-add a vector and row on two
// ports, four operations of any kind at a time; and of two equals the one that loads less, for loads are late at times.
inline const isa::TileWidth& choose_width(const isa::Tiles& tiles, std::int64_t pixels, std::int64_t columns,
                                          bool bands) {
  const isa::TileWidth* best = nullptr;
  std::int64_t least = 0;
  for (const isa::TileWidth& width : tiles.widths) {
    const std::int64_t rows = tile_rows(width, pixels);
    const std::int64_t vectors = width.cols / tiles.outer.lanes;
    const bool band = bands && rows == width.band_rows;
    const std::int64_t loads = band ? (rows + 2) / 3 + vectors : rows + vectors;  // a tap of a group
    const std::int64_t quarters = std::max(2 * rows * vectors, rows * vectors + rows + vectors + 5);
    const std::int64_t cost = (2 * quarters + loads) * ceil_div(pixels, rows) * ceil_div(columns, width.cols);
    if (best == nullptr || cost < least) {
      best = &width;
      least = cost;
    }
  }
  return *best;
}

// What is worked on at once: rows `first` .. of image n, or rows of a matrix (n = 0).
struct Slab {
  std::int64_t n = 0, first = 0, count = 0;
};

// Slabs of `count` lines of `line_bytes` each, small enough for the second cache beside a panel.
inline std::vector<Slab> cut_slabs(std::int64_t images, std::int64_t count, std::int64_t line_bytes,
                                   std::int64_t most) {
  constexpr std::int64_t kBytes = 384 << 10;
  const std::int64_t wanted = std::clamp<std::int64_t>(kBytes / std::max<std::int64_t>(line_bytes, 1), 1, most);
  const std::int64_t pieces = ceil_div(std::max<std::int64_t>(count, 1), wanted);
  const std::int64_t lines = ceil_div(count, pieces);
  std::vector<Slab> slabs;
  for (std::int64_t n = 0; n < images; ++n) {
    for (std::int64_t at = 0; at < count; at += lines) slabs.push_back({n, at, std::min(lines, count - at)});
  }
  return slabs;
}

// Lines of pixels of one class in a slab: the bytes and the numbers of outputs between them. `row`: that of x = 0 in
// the first.
struct Lines {
  std::int64_t count = 1, pixels = 0;
  std::int64_t bytes = 0;
  std::int64_t row = 0, rows = 0;
};

inline Lines matrix_lines(const Slab& slab) { return {.pixels = slab.count, .row = slab.first}; }

inline Lines image_lines(const ImageLayout& layout, const Operand& o, const PixelClass& y, const PixelClass& x,
                         const Slab& slab) {
  const std::int64_t end = std::min(slab.first + slab.count, y.count);
  return {.count = std::max<std::int64_t>(end - slab.first, 0),
          .pixels = x.count,
          .bytes = layout.y.mul * layout.row_bytes,
          .row = (slab.n * o.pixels.y + y.first + slab.first * y.step) * o.pixels.x,
          .rows = y.step * o.pixels.x};
}

}  // namespace fxsim::exact
