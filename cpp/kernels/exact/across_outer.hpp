// The wgrad of a depthwise convolution, all channels at once: sums over pixels of a gradient times the element that a
// tap finds under it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <vector>

#include "kernels/exact/across.hpp"
#include "kernels/exact/exact_outer.hpp"

namespace fxsim::exact {

inline bool is_across_outer(const GemmCall& call) {
  return is_outer(call) && call.a.taps.c == 1 && call.b.taps.c == 1 && call.bias == nullptr &&
         generic::exact_sum_decides(call);
}

template <class I>
class AcrossOuter {
 public:
  AcrossOuter(const GemmCall& call, const isa::Kernels& kernels)
      : call_(as_one(call)),
        kernels_(kernels),
        channels_(call.repeat.count),
        left_(joined(call.a, channels_, call.repeat.a)),
        right_(joined(call.b, channels_, call.repeat.b)),
        left_layout_(image_layout(left_, 2)),
        right_layout_(image_layout(right_, 2)),
        taps_(right_.taps.y * right_.taps.x),
        sums_(static_cast<std::size_t>(taps_ * channels_)) {}

  bool possible() const { return words_hold(left_.format, right_.format); }

  Events run() {
    const std::int64_t line_bytes = right_layout_.y.mul * right_layout_.row_bytes + left_layout_.row_bytes;
    const std::vector<Slab> slabs = cut_slabs(left_.pixels.n, left_.pixels.y, line_bytes, INT32_MAX);
    parallel_for(static_cast<std::int64_t>(slabs.size()),
                 [&](std::int64_t s) { run_slab(slabs[static_cast<std::size_t>(s)]); });
    return finish();
  }

 private:
  struct Workspace {
    Image left, right;
    std::vector<std::int32_t> narrow;
    std::vector<std::int64_t> wide;
  };

  static GemmCall as_one(const GemmCall& call) {
    GemmCall one = call;
    one.repeat = {};
    one.out.rows = call.repeat.count;
    one.out.row_stride = call.repeat.out;
    one.index_row_stride = call.repeat.index;
    return one;
  }

  void run_slab(const Slab& slab) {
    static thread_local Workspace work;
    work.left.fill(left_, left_layout_, {}, nullptr, slab.n, slab.first, slab.count);
    work.right.fill(right_, right_layout_, {}, nullptr, slab.n, slab.first, slab.count);
    work.wide.assign(sums_.size(), 0);
    const int bits = left_.format.magnitude_bits() + right_.format.magnitude_bits();
    const std::int64_t lines = (INT32_MAX >> bits) / std::max<std::int64_t>(left_.pixels.x, 1);
    if (lines == 0) {
      for (std::int64_t line = 0; line < slab.count; ++line) run_line(line, kernels_.across->wide, work, work.wide);
    }
    for (std::int64_t first = 0; lines > 0 && first < slab.count; first += lines) {
      work.narrow.assign(sums_.size(), 0);
      const std::int64_t end = std::min(first + lines, slab.count);
      for (std::int64_t line = first; line < end; ++line) run_line(line, kernels_.across->narrow, work, work.narrow);
      for (std::size_t i = 0; i < sums_.size(); ++i) work.wide[i] += work.narrow[i];
    }
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i] += work.wide[i];
  }

  template <class Sum>
  void run_line(std::int64_t line, const isa::AcrossOf<Sum>& kernels, const Workspace& work,
                std::vector<Sum>& sums) const {
    const std::byte* left = work.left.data(0) + line * left_layout_.row_bytes;
    const std::byte* right = work.right.data(0) + line * right_layout_.y.mul * right_layout_.row_bytes;
    for (const TapShift& ty : right_layout_.y.classes[0].taps) {
      for (const TapShift& tx : right_layout_.x.classes[0].taps) {
        kernels.pixels(reinterpret_cast<const std::int16_t*>(left), channels_,
                       reinterpret_cast<const std::int16_t*>(right + right_layout_.run_offset(ty, tx)),
                       right_layout_.x.mul * channels_, left_.pixels.x, channels_,
                       sums.data() + (ty.tap * right_.taps.x + tx.tap) * channels_);
      }
    }
  }

  Events finish() const {
    Events events;
    const generic::Finisher<I> finisher(call_, kernels_);
    generic::Scratch scratch;
    scratch.reserve(taps_);
    std::vector<I> values(static_cast<std::size_t>(taps_));
    for (std::int64_t c = 0; c < channels_; ++c) {
      for (std::int64_t t = 0; t < taps_; ++t) {
        values[static_cast<std::size_t>(t)] = static_cast<I>(sums_[static_cast<std::size_t>(t * channels_ + c)]);
      }
      finisher.run({c, 1, 0, taps_}, values, scratch, events);
    }
    return events;
  }

  GemmCall call_;
  const isa::Kernels& kernels_;
  std::int64_t channels_;
  Operand left_, right_;
  ImageLayout left_layout_, right_layout_;
  std::int64_t taps_;
  std::mutex mutex_;
  std::vector<std::int64_t> sums_;
};

}  // namespace fxsim::exact
