// How a product of exact sums is cut into tiles: which operand is packed whole, in which elements, and what is known of
// the sums before there is one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "kernels/exact/extent.hpp"
#include "kernels/exact/limb_choice.hpp"
#include "kernels/exact/pack_store.hpp"
#include "kernels/exact/plain.hpp"
#include "kernels/exact/rounded.hpp"
#include "kernels/exact/tile_sums.hpp"
#include "kernels/exact/wide_sums.hpp"

namespace fxsim::exact {

class TilePlan {
 protected:
  // written: whether the words of a are there already, so that they may be looked at.
  TilePlan(const GemmCall& call, const isa::Kernels& kernels, bool written = true) : call_(call), kernels_(kernels) {
    Operand a = call.a, b = call.b;
    if (is_image(a) && b.taps.y == a.taps.y && b.taps.x == a.taps.x && b.taps.c == a.taps.c && !b.transposed) {
      image_form_ = true;
      a.channel_major = b.channel_major = false;  // the order of an exact sum is free
    } else {
      swapped_ = b.rows() > a.rows();
    }
    pixels_ = swapped_ ? b : a;
    columns_ = swapped_ ? a : b;
    if (written || !swapped_) narrow(kernels, a.depth(), pixels_, columns_, written);
    wide_ = !sum_fits_64_bits(call, pixels_.format, columns_.format);
    scheme_ = choose_scheme(kernels, pixels_.format, columns_.format, a.depth());
    const int bytes = scheme_.tiles->element_bytes;
    layout_ = image_form_ ? image_layout(pixels_, bytes) : matrix_layout(pixels_, bytes);
    width_ = &choose_width(
        *scheme_.tiles, layout_.x.most_pixels, columns_.rows(),
        std::ranges::all_of(layout_.x.classes, [&](const PixelClass& x) { return takes_bands(layout_, x); }));
  }

  void prepare() {
    const bool words = scheme_.tiles == kernels_.words && scheme_.one_limb();
    if (words && !low_32_bits_decide(call_) && limbs_look_faster(scheme_, limbs(), columns_)) scheme_ = limbs();
    pack();
    if (one_sum_ || (cut() && !(words && scheme_.one_limb() && limbs_are_faster(limbs(), classes_)))) return;
    scheme_ = limbs();
    pack();
    cut();
  }

  Scheme limbs() const { return limb_scheme(*kernels_.words, pixels_.format, columns_.format, call_.a.depth()); }

  void pack() {
    const bool formats_bound = formats_bound_sums(call_, pixels_.format, columns_.format);
    const bool magnitudes = !wide_ && !formats_bound && !is_word_mod_2_32(call_);
    std::int64_t magnitude = 0;
    classes_.clear();
    for (const PixelClass& y : layout_.y.classes) {
      for (const PixelClass& x : layout_.x.classes) {
        TileClass own;
        own.y = &y;
        own.x = &x;
        own.runs = plan_runs(layout_, y, x, pixels_.taps.x);
        own.takes_bands = takes_bands(layout_, x);
        own.panels = packed(columns_, own.runs, scheme_.columns, scheme_.tiles->copies, width_->cols, magnitudes);
        magnitude = std::max(magnitude, own.panels->largest_magnitude());
        classes_.push_back(std::move(own));
      }
    }
    std::int64_t bound = INT64_MAX;
    if (formats_bound) {
      bound = sum_bound_of_formats(call_.a.depth(), pixels_.format, columns_.format);
    } else if (!wide_) {
      bound = sum_bound(pixels_.format, magnitude);
    }
    one_sum_ = scheme_.one_limb() && (low_32_bits_decide(call_) || bound <= INT32_MAX);
    is_sum_itself_ = is_sum_itself(call_, bound);
    if (!one_sum_) return;
    if (!(swapped_ && call_.bias != nullptr)) {
      sums_ = short_sums(call_, bound);
      plain_ = plain_result(call_, sums_);
    }
    rounds_ = sums_.hold && call_.output_rounds && !swapped_ && call_.out.col_stride == 1 &&
              Rounder(call_, kernels_).possible();
    for (TileClass& own : classes_) own.start = starts(*own.panels);
  }

  bool cut() {
    return std::all_of(classes_.begin(), classes_.end(), [&](TileClass& own) { return own.cut(scheme_); });
  }

  // What sums begin with: the offset's share taken off, and the bias where it is added as it is. Mod 2^32.
  LineVector<std::int32_t> starts(const Panels& panels) const {
    LineVector<std::int32_t> start(static_cast<std::size_t>(panels.panels() * width_->cols));
    for (std::size_t j = 0; j < start.size(); ++j) {
      std::int64_t value = -scheme_.image.offset * panels.sums()[j];
      const bool inside = static_cast<std::int64_t>(j) < columns_.rows();
      if ((plain_.holds || rounds_) && call_.bias != nullptr && inside) value += call_.bias[j] << sums_.bias_shift;
      start[j] = static_cast<std::int32_t>(static_cast<std::uint32_t>(value));
    }
    return start;
  }

  const GemmCall& call_;
  const isa::Kernels& kernels_;
  bool image_form_ = false;
  bool swapped_ = false;  // the columns of tiles are the rows of a
  Operand pixels_, columns_;
  Scheme scheme_;
  ImageLayout layout_;
  const isa::TileWidth* width_ = nullptr;
  std::vector<TileClass> classes_;
  bool one_sum_ = false;
  bool rounds_ = false;  // sums of 32 bits, in 32-bit lanes
  bool is_sum_itself_ = false;
  bool wide_ = false;  // sums of limbs may leave 64 bits
  ShortSums sums_;
  Plain plain_;
};

}  // namespace fxsim::exact
