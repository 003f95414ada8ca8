// Products of one channel each that stand side by side: a depthwise convolution, forward and dgrad, all channels at
// once. To everything that follows the sums they are one product with a column a channel.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "kernels/exact/extent.hpp"
#include "kernels/exact/layout.hpp"
#include "kernels/exact/plain.hpp"
#include "kernels/exact/rounded.hpp"
#include "kernels/generic/finisher.hpp"
#include "kernels/tasks.hpp"

namespace fxsim::exact {

inline bool is_across(const GemmCall& call) {
  const Operand& a = call.a;
  const Operand& b = call.b;
  const Repeat& repeat = call.repeat;
  return !b.transposed && is_image(a) && a.taps.c == 1 && b.rows() == 1 && b.taps.y == a.taps.y &&
         b.taps.x == a.taps.x && repeat.out == 1 && repeat.index == 1 && (call.bias == nullptr || repeat.bias == 1) &&
         generic::exact_sum_decides(call);
}

// The operand with all its channels, `step` elements apart, its format as narrow as they allow.
inline Operand joined(const Operand& one, std::int64_t channels, std::int64_t step) {
  Operand all = one;
  all.taps.c = channels;
  all.stride_c = step;
  const int bits = all.format.magnitude_bits();
  if (!fits_signed(all.format, 2)) all.format = narrowed(all.format, magnitude_bits_used(all, bits));
  return all;
}

template <class I>
class ExactAcross {
 public:
  ExactAcross(const GemmCall& call, const isa::Kernels& kernels)
      : call_(as_one(call)),
        kernels_(kernels),
        finisher_(call_, kernels),
        channels_(call.repeat.count),
        image_(joined(call.a, channels_, call.repeat.a)),
        layout_(image_layout(image_, 2)) {
    Operand weights = call.b;
    weights.pixels.n = channels_;
    weights.stride_n = call.repeat.b;
    const int bits = weights.format.magnitude_bits();
    if (!fits_signed(weights.format, 2)) weights.format = narrowed(weights.format, magnitude_bits_used(weights, bits));
    possible_ = words_hold(image_.format, weights.format);
    if (!possible_) return;
    const std::int64_t most = (std::int64_t{1} << image_.format.magnitude_bits()) << weights.format.magnitude_bits();
    const std::int64_t bound = call.a.depth() * most;
    short_ = bound <= INT32_MAX;
    if (short_) {
      sums_ = short_sums(call_, bound);
      plain_ = plain_result(call_, sums_);
      rounds_ = sums_.hold && call_.output_rounds && Rounder(call_, kernels).possible();
    }
    for (const PixelClass& y : layout_.y.classes) {
      for (const PixelClass& x : layout_.x.classes) classes_.push_back(make_class(y, x, weights));
    }
  }

  // Whether 16-bit words hold both operands.
  bool possible() const { return possible_; }

  Events run() const {
    const std::vector<Slab> slabs =
        cut_slabs(image_.pixels.n, layout_.y.most_pixels, layout_.row_bytes * layout_.y.mul, INT32_MAX);
    return over_tasks(static_cast<std::int64_t>(slabs.size()),
                      [&](std::int64_t s, Events& events) { run_slab(slabs[static_cast<std::size_t>(s)], events); });
  }

 private:
  static constexpr std::int64_t kMostChannels = 256;

  struct Class {
    const PixelClass* y;
    const PixelClass* x;
    std::vector<std::int64_t> taps;     // elements from a pixel
    std::vector<std::int16_t> weights;  // tap after tap, a channel each
  };

  struct Workspace {
    Image image;
    std::array<std::int32_t, generic::kBlock32> sums;
    std::array<std::int64_t, generic::kBlock32> wide;
    std::vector<I> values;
    generic::Scratch scratch;
    std::optional<Rounder> rounder;
  };

  static GemmCall as_one(const GemmCall& call) {
    GemmCall one = call;
    one.repeat = {};
    one.out.cols = call.repeat.count;
    one.out.col_stride = 1;
    return one;
  }

  Class make_class(const PixelClass& y, const PixelClass& x, const Operand& weights) const {
    Class own{&y, &x, {}, {}};
    for (const TapShift& ty : y.taps) {
      for (const TapShift& tx : x.taps) {
        own.taps.push_back(layout_.run_offset(ty, tx) / 2);
        const std::int64_t k = ty.tap * weights.taps.x + tx.tap;
        const auto first = own.weights.size();
        own.weights.resize(first + static_cast<std::size_t>(channels_));
        for (std::int64_t c = 0; c < channels_; ++c) {
          generic::gather<std::int16_t>(weights, c, k, k + 1, 0, own.weights.data() + first + c);
        }
      }
    }
    return own;
  }

  void run_slab(const Slab& slab, Events& events) const {
    static thread_local Workspace work;
    if (rounds_) work.rounder.emplace(call_, kernels_);
    work.image.fill(image_, layout_, {}, nullptr, slab.n, slab.first, slab.count);
    for (const Class& own : classes_) {
      const std::int64_t end = std::min(slab.first + slab.count, own.y->count);
      for (std::int64_t j = slab.first; j < end; ++j) {
        const std::int64_t y = own.y->first + j * own.y->step;
        const std::int64_t row = (slab.n * image_.pixels.y + y) * image_.pixels.x + own.x->first;
        run_line(own, (j - slab.first) * layout_.y.mul * layout_.row_bytes, row, work, events);
      }
    }
  }

  // Pixels of a line that begins `line` bytes into the copy; `row` is the number of the first one's output.
  void run_line(const Class& own, std::int64_t line, std::int64_t row, Workspace& work, Events& events) const {
    const std::int64_t pitch = layout_.x.mul * channels_;
    const auto* image = reinterpret_cast<const std::int16_t*>(std::as_const(work.image).data(0) + line);
    for (std::int64_t c = 0; c < channels_; c += kMostChannels) {
      const std::int64_t columns = std::min(kMostChannels, channels_ - c);
      const std::int64_t most = generic::kBlock32 / columns;
      for (std::int64_t x = 0; x < own.x->count; x += most) {
        const std::int64_t rows = std::min(most, own.x->count - x);
        const generic::Tile tile{row + x * own.x->step, rows, c, columns, own.x->step};
        const auto sum = [&](const auto& kernels, auto* sums) {
          kernels.taps(image + x * pitch + c, pitch, rows, own.taps.data(), static_cast<std::int64_t>(own.taps.size()),
                       own.weights.data() + c, channels_, columns, sums);
        };
        if (rounds_) {
          std::int32_t* sums = work.rounder->sums(tile.size());
          sum(kernels_.across->narrow, sums);
          add_bias(tile, sums);
          work.rounder->run(tile, events);
        } else if (short_) {
          sum(kernels_.across->narrow, work.sums.data());
          finish(tile, work.sums.data(), work, events);
        } else {
          sum(kernels_.across->wide, work.wide.data());
          finish_sums(tile, work.wide.data(), work, events);
        }
      }
    }
  }

  void add_bias(const generic::Tile& tile, std::int32_t* sums) const {
    if (call_.bias == nullptr) return;
    for (std::int64_t i = 0; i < tile.size(); ++i) {
      const std::int64_t bias = call_.bias[tile.n0 + i % tile.cols] << sums_.bias_shift;
      sums[i] += static_cast<std::int32_t>(bias);
    }
  }

  void finish(const generic::Tile& tile, std::int32_t* sums, Workspace& work, Events& events) const {
    if (!plain_.holds) return finish_sums(tile, sums, work, events);
    if (sums_.hold) add_bias(tile, sums);
    const MutableMatrix& out = call_.out;
    const std::int64_t inexact = store_plain(plain_, sums, tile.cols, tile.rows, tile.cols, out.data, out.storage,
                                             tile.m0 * out.row_stride + tile.n0, tile.row_step * out.row_stride, 1);
    if (plain_.counts_carriers) events.inexact_carriers += inexact;
  }

  template <class Sum>
  void finish_sums(const generic::Tile& tile, const Sum* sums, Workspace& work, Events& events) const {
    work.values.resize(static_cast<std::size_t>(tile.size()));
    work.scratch.reserve(tile.size());
    for (std::int64_t i = 0; i < tile.size(); ++i) {
      work.values[static_cast<std::size_t>(i)] = static_cast<I>(static_cast<std::int64_t>(sums[i]));
    }
    finisher_.run(tile, work.values, work.scratch, events);
  }

  GemmCall call_;
  const isa::Kernels& kernels_;
  generic::Finisher<I> finisher_;
  std::int64_t channels_;
  Operand image_;
  ImageLayout layout_;
  std::vector<Class> classes_;
  bool possible_ = false;
  bool short_ = false;   // 32 bits hold the sums
  bool rounds_ = false;  // and they are rounded in 32-bit lanes
  ShortSums sums_;
  Plain plain_;
};

}  // namespace fxsim::exact
