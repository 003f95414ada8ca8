// A product of exact sums, tile by tile: one operand is packed whole, the other copied a slab at a time, an image or
// some rows of a matrix. Forward and dgrad of a convolution are the same walk over different taps.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/clear.hpp"
#include "kernels/exact/by_images.hpp"
#include "kernels/exact/plain.hpp"
#include "kernels/exact/rounded.hpp"
#include "kernels/exact/tile_plan.hpp"
#include "kernels/exact/tile_sums.hpp"
#include "kernels/exact/wide_sums.hpp"
#include "kernels/generic/finisher.hpp"
#include "kernels/streams.hpp"
#include "kernels/tasks.hpp"

namespace fxsim::exact {

// I: an integer that holds sums and what they are aligned with, as in Finisher.
template <class I>
class ExactTiles : private TilePlan {
 public:
  // written: whether the words of a are there already, so that they may be looked at.
  ExactTiles(const GemmCall& call, const isa::Kernels& kernels, bool written = true)
      : TilePlan(call, kernels, written), finisher_(call, kernels) {}

  // Whether `call.clear` is seen to, while results are in the cache.
  bool clears() const { return call_.clear != nullptr && !swapped_; }

  Events run() {
    prepare();
    const std::vector<Slab> slabs = slabs_of(image_form_ ? pixels_.pixels.n : pixels_.rows());
    return over_tasks(static_cast<std::int64_t>(slabs.size()), [&](std::int64_t s, Events& events) {
      run_slab(slabs[static_cast<std::size_t>(s)], Words(pixels_, 0), events);
    });
  }

  // For runs by images, or by rows of a matrix: whether there is nothing that the words of a could tell.
  bool prepare_for_images() {
    if (swapped_ || wide_ || (!image_form_ && !is_matrix(pixels_))) return false;
    prepare();
    return one_sum_;
  }

  void run_images(std::int64_t first, std::int64_t count, const void* words, Events& events) const {
    const Words own(pixels_, first, words);
    for (Slab slab : slabs_of(count)) {
      (image_form_ ? slab.n : slab.first) += first;
      run_slab(slab, own, events);
    }
  }

 private:
  static constexpr std::int64_t kMostMatrixRows = 336;  // a multiple of 6, 12, 14 and 16

  struct Workspace {
    Image image;
    std::vector<I> values;
    generic::Scratch scratch;
    std::optional<Rounder> rounder;
  };

  // Of so many images, or rows of a matrix.
  std::vector<Slab> slabs_of(std::int64_t count) const {
    const std::int64_t elements = scheme_.image.elements();
    if (!image_form_) return cut_slabs(1, count, elements * layout_.pixel_bytes, kMostMatrixRows);
    return cut_slabs(count, layout_.y.most_pixels, elements * layout_.row_bytes * layout_.y.mul, INT32_MAX);
  }

  void run_slab(const Slab& slab, const Words& words, Events& events) const {
    static thread_local Workspace work;
    if (rounds_) work.rounder.emplace(call_, kernels_);
    const isa::Copies* copies = scheme_.tiles->copies;
    if (image_form_) {
      const std::int64_t n = slab.n - words.first;
      work.image.fill(words.operand, layout_, scheme_.image, copies, n, slab.first, slab.count);
    } else {
      const std::int64_t first = slab.first - words.first;
      work.image.fill_matrix(words.operand, layout_, scheme_.image, copies, first, slab.count);
    }
    for (const TileClass& own : classes_) {
      const Lines lines = image_form_ ? image_lines(layout_, pixels_, *own.y, *own.x, slab) : matrix_lines(slab);
      const auto for_lines = [&](const auto& run) {
        for (std::int64_t j = 0; j < lines.count; ++j) run(j * lines.bytes, lines.row + j * lines.rows);
      };
      if (rounds_) {
        for_lines([&](auto line, auto row) { run_rounded(own, lines.pixels, line, row, work, events); });
        continue;
      }
      for (std::int64_t panel = 0; panel < own.panels->panels(); ++panel) {
        if (stores_whole_tiles(panel)) {
          run_lines(own, panel, lines, work);
        } else {
          for_lines([&](auto line, auto row) { run_line(own, panel, lines.pixels, line, row, work, events); });
        }
      }
    }
    if (clears()) clear_slab(slab);
    if (reach_ == isa::Reach::kPast) kernels_.streaming->end();
  }

  void clear_slab(const Slab& slab) const {
    if (!image_form_) return clear_rows(call_, slab.first, slab.count);
    const std::int64_t step = layout_.y.classes[0].step;  // of every class
    const std::int64_t first = slab.first * step, end = std::min((slab.first + slab.count) * step, pixels_.pixels.y);
    const std::int64_t width = pixels_.pixels.x;
    clear_rows(call_, (slab.n * pixels_.pixels.y + first) * width, (end - first) * width);
  }

  // Whether a tile's sums, or their carriers, go from its registers to where the result is.
  bool stores_whole_tiles(std::int64_t panel) const {
    const MutableMatrix& out = call_.out;
    return plain_.holds && !plain_.counts_carriers && column_stride() == 1 &&
           (panel + 1) * width_->cols <= columns_.rows() &&
           (out.storage == Storage::kFloat32 || out.storage == Storage::kInt32);
  }

  // Whole tiles go past the caches where they are whole lines of a matrix that would drive its operands out of the
  // second one. An image's pixels have fewer macs, and who reads it next would miss it in the third.
  isa::Reach reach() const {
    const MutableMatrix& out = call_.out;
    const std::int64_t row_bytes = pixel_stride() * static_cast<std::int64_t>(element_bytes(out.storage));
    const std::int64_t tile_bytes = width_->cols * static_cast<std::int64_t>(sizeof(std::int32_t));
    const bool past = !image_form_ && call_.clear == nullptr && row_bytes % isa::kStreamLine == 0 &&
                      tile_bytes % isa::kStreamLine == 0 && streams(kernels_, out.data, pixels_.rows() * row_bytes);
    return past ? isa::Reach::kPast : isa::Reach::kFar;
  }

  // All tiles of some lines in two calls: those of equal size, and what is left at the ends.
  void run_lines(const TileClass& own, std::int64_t panel, const Lines& lines, Workspace& work) const {
    const std::int64_t rows = tile_rows(*width_, lines.pixels);
    const std::int64_t pitch = layout_.x.mul * layout_.pixel_bytes;
    const std::int64_t whole = lines.pixels / rows;
    isa::TileCall call;
    call.out_stride = own.x->step * pixel_stride();
    call.step = static_cast<float>(plain_.step);
    call.reach = reach_;
    call.tiles = {whole, rows * pitch, rows * call.out_stride};
    call.lines = {lines.count, lines.bytes, lines.rows * pixel_stride()};
    run_tiles(own, {0, pitch, panel, rows}, lines.row + own.x->first, call, work);
    const std::int64_t left = lines.pixels - whole * rows;
    if (left == 0) return;
    call.tiles.count = 1;
    const std::int64_t row = lines.row + own.x->first + whole * rows * own.x->step;
    run_tiles(own, {whole * rows * pitch, pitch, panel, left}, row, call, work);
  }

  void run_tiles(const TileClass& own, const TilePlace& place, std::int64_t row, isa::TileCall& call,
                 Workspace& work) const {
    const std::int64_t offset = row * pixel_stride() + place.panel * width_->cols;
    if (call_.out.storage == Storage::kFloat32) {
      call.carriers = static_cast<float*>(call_.out.data) + offset;
    } else {
      call.sums = static_cast<std::int32_t*>(call_.out.data) + offset;
    }
    run_once(*width_, own, work.image, place, call);
  }

  // Tiles along a line of pixels that begins `line` bytes into the copy; `row` is the number of its output at x = 0.
  void run_line(const TileClass& own, std::int64_t panel, std::int64_t count, std::int64_t line, std::int64_t row,
                Workspace& work, Events& events) const {
    const std::int64_t rows = tile_rows(*width_, count);
    const std::int64_t pitch = layout_.x.mul * layout_.pixel_bytes;
    for (std::int64_t j = 0; j < count; j += rows) {
      const TilePlace place{line + j * pitch, pitch, panel, std::min(rows, count - j)};
      const std::int64_t column = panel * width_->cols;
      const std::int64_t columns = std::min<std::int64_t>(width_->cols, columns_.rows() - column);
      const generic::Tile tile{row + own.x->first + j * own.x->step, place.rows, column, columns, own.x->step};
      if (plain_.holds) {
        run_plain(own, place, tile, work, events);
      } else {
        run_finished(own, place, tile, work, events);
      }
    }
  }

  std::int64_t pixel_stride() const { return swapped_ ? call_.out.col_stride : call_.out.row_stride; }
  std::int64_t column_stride() const { return swapped_ ? call_.out.row_stride : call_.out.col_stride; }

  void run_plain(const TileClass& own, const TilePlace& place, const generic::Tile& tile, Workspace& work,
                 Events& events) const {
    const MutableMatrix& out = call_.out;
    const std::int64_t row_stride = tile.row_step * pixel_stride(), col_stride = column_stride();
    const std::int64_t offset = tile.m0 * pixel_stride() + tile.n0 * col_stride;
    isa::TileCall tile_call;
    std::int32_t sums[kMostTile];
    tile_call.sums = sums;
    tile_call.out_stride = width_->cols;
    run_once(*width_, own, work.image, place, tile_call);
    const std::int64_t inexact = store_plain(plain_, sums, width_->cols, tile.rows, tile.cols, out.data, out.storage,
                                             offset, row_stride, col_stride);
    if (plain_.counts_carriers) events.inexact_carriers += inexact;
  }

  // All columns of as many pixels of a line as a block of the rounder takes, or of a tile, then the rounder.
  void run_rounded(const TileClass& own, std::int64_t count, std::int64_t line, std::int64_t row, Workspace& work,
                   Events& events) const {
    const std::int64_t rows = tile_rows(*width_, count);
    const std::int64_t pitch = own.panels->panels() * width_->cols;
    const std::int64_t stretch = std::max<std::int64_t>(generic::kBlock32 / pitch / rows, 1) * rows;
    std::int32_t* sums = work.rounder->sums(stretch * pitch);
    for (std::int64_t first = 0; first < count; first += stretch) {
      const std::int64_t pixels = std::min(stretch, count - first);
      for (std::int64_t panel = 0; panel < own.panels->panels(); ++panel) {
        sum_stretch(own, panel, first, pixels, line, sums + panel * width_->cols, pitch, work);
      }
      work.rounder->close_gaps(pitch, pixels, columns_.rows());
      const std::int64_t at = row + own.x->first + first * own.x->step;
      work.rounder->run({at, pixels, 0, columns_.rows(), own.x->step}, events);
    }
  }

  // The sums of `count` pixels of a line from number `first` on, `pitch` elements apart.
  void sum_stretch(const TileClass& own, std::int64_t panel, std::int64_t first, std::int64_t count, std::int64_t line,
                   std::int32_t* sums, std::int64_t pitch, const Workspace& work) const {
    const std::int64_t rows = tile_rows(*width_, count);
    const std::int64_t pixel = layout_.x.mul * layout_.pixel_bytes;
    const std::int64_t whole = count / rows, left = count - whole * rows;
    isa::TileCall call;
    call.sums = sums;
    call.out_stride = pitch;
    call.tiles = {whole, rows * pixel, rows * pitch};
    run_once(*width_, own, work.image, {line + first * pixel, pixel, panel, rows}, call);
    if (left == 0) return;
    call.sums += whole * rows * pitch;
    call.tiles.count = 1;
    run_once(*width_, own, work.image, {line + (first + whole * rows) * pixel, pixel, panel, left}, call);
  }

  void run_finished(const TileClass& own, const TilePlace& place, const generic::Tile& tile, Workspace& work,
                    Events& events) const {
    std::uint64_t sums[kMostTile];
    double about[kMostTile];
    if (one_sum_) {
      std::int32_t short_sums[kMostTile];
      isa::TileCall tile_call;
      tile_call.sums = short_sums;
      tile_call.out_stride = width_->cols;
      run_once(*width_, own, work.image, place, tile_call);
      for (std::int64_t i = 0; i < tile.rows * width_->cols; ++i) {
        sums[i] = static_cast<std::uint64_t>(std::int64_t{short_sums[i]});
      }
    } else {
      run_segments(kernels_, scheme_, *width_, own, work.image, place, sums, wide_ ? about : nullptr);
    }
    const bool beyond = wide_ && !all_fit_64_bits(sums, about, tile.rows * width_->cols);
    if (is_sum_itself_ && !beyond) return store_sums(tile, sums, events);
    const generic::Tile placed = swapped_ ? generic::Tile{tile.n0, tile.cols, tile.m0, tile.rows} : tile;
    work.values.resize(static_cast<std::size_t>(tile.size()));
    work.scratch.reserve(tile.size());
    for (std::int64_t i = 0; i < tile.rows; ++i) {
      for (std::int64_t j = 0; j < tile.cols; ++j) {
        const std::int64_t at = i * width_->cols + j;
        work.values[static_cast<std::size_t>(swapped_ ? j * tile.rows + i : i * tile.cols + j)] =
            beyond ? static_cast<I>(joined(sums[at], about[at])) : static_cast<I>(static_cast<std::int64_t>(sums[at]));
      }
    }
    finisher_.run(placed, work.values, work.scratch, events);
  }

  void store_sums(const generic::Tile& tile, const std::uint64_t* sums, Events& events) const {
    const MutableMatrix& out = call_.out;
    const std::int64_t row_stride = tile.row_step * pixel_stride();
    const std::int64_t first = tile.m0 * pixel_stride() + tile.n0 * column_stride();
    for (std::int64_t i = 0; i < tile.rows; ++i) {
      const auto* raw = reinterpret_cast<const std::int64_t*>(sums + i * width_->cols);
      events.inexact_carriers += generic::store(raw, tile.cols, call_.output.format.fl, out.data, out.storage,
                                                first + i * row_stride, column_stride());
    }
  }

  generic::Finisher<I> finisher_;
  const isa::Reach reach_ = reach();
};

}  // namespace fxsim::exact
