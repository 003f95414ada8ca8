// The product of a wgrad: k runs over the pixels of the batch. Both operands are copied with their images interleaved,
// and outer products of a pixel's gradients and the window under it are summed over all pixels.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "kernels/exact/ahead.hpp"
#include "kernels/exact/by_images.hpp"
#include "kernels/exact/extent.hpp"
#include "kernels/exact/interleave.hpp"
#include "kernels/exact/layout.hpp"
#include "kernels/exact/outer_join.hpp"
#include "kernels/exact/outer_sums.hpp"
#include "kernels/exact/plain.hpp"
#include "kernels/exact/scheme.hpp"
#include "kernels/exact/stored_sums.hpp"
#include "kernels/generic/finisher.hpp"
#include "kernels/generic/store.hpp"
#include "kernels/parallel.hpp"

namespace fxsim::exact {

// Gradients as they are against windows of an image: what ExactOuter takes.
inline bool is_outer(const GemmCall& call) {
  const Operand& l = call.a;
  const Operand& r = call.b;
  const auto plain = [](const AxisMap& m) { return m.pixel_mul == 1 && m.offset == 0 && m.div == 1; };
  return l.transposed && r.transposed && l.taps.y * l.taps.x == 1 && plain(l.map_y) && plain(l.map_x) &&
         l.pixels.n == r.pixels.n && l.pixels.y == r.pixels.y && l.pixels.x == r.pixels.x && can_plan(r.map_y) &&
         can_plan(r.map_x) && r.map_y.div == 1 && r.map_x.div == 1;
}

template <class I>
class ExactOuter {
 public:
  // written: whether the words of a are there already, so that they may be looked at.
  ExactOuter(const GemmCall& call, const isa::Kernels& kernels, bool written = true)
      : call_(call),
        kernels_(kernels),
        finisher_(call, kernels),
        scheme_(narrow_outer_scheme(kernels, call.a.depth(), call.b, call.a, written)),
        outer_(scheme_.tiles->outer),
        left_layout_(layout_of(call.a)),
        right_layout_(layout_of(call.b)),
        window_(plan_runs(right_layout_, right_layout_.y.classes[0], right_layout_.x.classes[0], call.b.taps.x)) {
    const std::int64_t words = window_.taps_a_run * window_.channels;
    for (std::int64_t run = 0; run < window_.runs(); ++run) {
      for (std::int64_t word = 0; word < words; word += outer_.lanes) {
        vectors_.push_back(window_.offsets[static_cast<std::size_t>(run)] + word * 4);
      }
    }
    const std::span<const std::int64_t> summed(vectors_.data(), scheme_.columns.low_offset != 0 ? vectors_.size() : 0);
    stored_.emplace(outer_, summed, right_step(), right_line(), call.a.pixels.x);
    while (vectors_.size() % static_cast<std::size_t>(outer_.vectors) != 0) vectors_.push_back(vectors_.back());
    const std::int64_t channels = ceil_div(call.a.taps.c, outer_.rows) * outer_.rows;
    place_ = {.rows = outer_.rows,
              .size = std::int64_t{outer_.vectors} * outer_.lanes,
              .groups = static_cast<std::int64_t>(vectors_.size()) / outer_.vectors,
              .limb_channels = channels,
              .channels = channels * scheme_.columns.limbs.count};
    cut_blocks();
  }

  Events run() {
    const std::vector<Slab> slabs = image_slabs(call_.a.pixels.n);
    parallel_for(static_cast<std::int64_t>(slabs.size()), [&](std::int64_t s) {
      const std::size_t own = static_cast<std::size_t>(s), left = slabs.size() - own;
      run_some(std::span(slabs).subspan(own, std::min<std::size_t>(left, 2)), 1, Words(call_.a, 0));
    });
    return finish();
  }

  // For runs by images: whether the words of a would tell nothing that saves time.
  bool may_run_images() const { return call_.a.format.wl <= 8 || scheme_.tiles == kernels_.bytes; }

  void run_images(std::int64_t first, std::int64_t count, const void* words) {
    const std::int64_t left = call_.a.pixels.n - first;
    std::vector<Slab> slabs = image_slabs(std::min(left, count + images_together()));
    for (Slab& slab : slabs) slab.n += first / images_together();
    run_some(slabs, image_slabs(count).size(), Words(call_.a, first, words));
  }

  // The result of all slabs that were run.
  Events finish() {
    if (partials_.empty()) partials_.push_back(take_partial());  // a batch of nothing
    OuterSums& all = partials_.front()->sums;
    for (std::size_t i = 1; i < partials_.size(); ++i) all.merge(partials_[i]->sums, kernels_);
    all.close(kernels_);
    return finish(all);
  }

 private:
  // What one thread works with.
  struct Partial {
    Interleaved left;
    std::vector<Interleaved> right;
    OuterSums sums;
    Ahead ahead = {};
  };

  ImageLayout layout_of(const Operand& o) const {
    ImageLayout layout = image_layout(o, scheme_.tiles->element_bytes);
    layout.pixel_bytes = layout.channels * 4;
    layout.row_bytes = layout.x.extent(layout.x.most_pixels) * layout.pixel_bytes;
    return layout;
  }

  // From pixel to pixel of the result, in the other operand.
  std::int64_t right_step() const { return right_layout_.x.mul * right_layout_.pixel_bytes; }
  std::int64_t right_line() const { return right_layout_.y.mul * right_layout_.row_bytes; }

  // As many lines as fit a first cache of 48 KB, of the gradients and of the vectors of a window that meet them all;
  // and as many as their products leave of 32 bits. Fewer lines would send the sums to the second cache more often.
  // Parts of a line are blocks of their own, so that the pixels of a block are neighbours on the left.
  // Places are 32-bit numbers of groups: only a line of more than 2^32 elements an image would leave them, as several
  // lines are a slab only where they fit a cache.
  void cut_blocks() {
    constexpr std::int64_t kBytes = 44 << 10;
    const std::int64_t width = std::max<std::int64_t>(call_.a.pixels.x, 1);
    const std::int64_t vector_bytes = std::int64_t{outer_.vectors} * outer_.lanes * 4;
    const std::int64_t line_bytes = std::min(right_line(), width * vector_bytes) + width * place_.channels * 4;
    const std::int64_t most = scheme_.terms / images_together();
    block_width_ = std::clamp<std::int64_t>(most, 1, width);
    block_lines_ = std::clamp<std::int64_t>(std::min(kBytes / line_bytes, most / width), 1,
                                            std::max<std::int64_t>(call_.a.pixels.y, 1));
    for (std::int64_t line = 0; line < block_lines_; ++line) {
      for (std::int64_t x = 0; x < block_width_; ++x) {
        places_.push_back(static_cast<std::uint32_t>((line * right_line() + x * right_step()) / 4));
      }
    }
  }

  std::unique_ptr<Partial> take_partial() {
    const std::lock_guard lock(mutex_);
    if (!partials_.empty()) {
      std::unique_ptr<Partial> last = std::move(partials_.back());
      partials_.pop_back();
      return last;
    }
    const auto limbs = static_cast<std::size_t>(scheme_.image.limbs.count);
    const auto size = static_cast<std::size_t>(place_.tile(scheme_.image.limbs.count, 0, 0));
    const auto rights = limbs * vectors_.size() * static_cast<std::size_t>(outer_.lanes);
    return std::unique_ptr<Partial>(new Partial{
        {}, std::vector<Interleaved>(limbs), {size, static_cast<std::size_t>(place_.channels + outer_.lanes), rights}});
  }

  std::int64_t images_together() const { return 4 / scheme_.tiles->element_bytes; }

  std::vector<Slab> image_slabs(std::int64_t images) const {
    const std::int64_t line_bytes = right_line() * scheme_.image.limbs.count + call_.a.pixels.x * place_.channels * 4;
    return cut_slabs(ceil_div(images, images_together()), call_.a.pixels.y, line_bytes, INT32_MAX);
  }

  // The first `count` slabs; one more tells what comes after them.
  void run_some(std::span<const Slab> slabs, std::size_t count, const Words& words) {
    std::unique_ptr<Partial> partial = take_partial();
    for (std::size_t i = 0; i < count; ++i) {
      partial->ahead.clear();
      if (i + 1 < slabs.size()) ask_for(slabs[i + 1], words, partial->ahead);
      run_slab(slabs[i], words, *partial);
    }
    const std::lock_guard lock(mutex_);
    partials_.push_back(std::move(partial));
  }

  // Words that were made for this call are in the caches already.
  void ask_for(const Slab& slab, const Words& words, Ahead& ahead) const {
    const std::int64_t images = images_together(), n = slab.n * images, lines = right_layout_.y.mul;
    ahead.add(call_.b, n, images, slab.first * lines, slab.count * lines);
    if (words.operand.data == call_.a.data) ahead.add(call_.a, n, images, slab.first, slab.count);
  }

  void run_slab(const Slab& slab, const Words& words, Partial& own) const {
    const std::int64_t images = images_together(), n = slab.n * images;
    own.left.fill(words.operand, left_layout_, scheme_.columns, scheme_.tiles->copies, 0, scheme_.columns.limbs.count,
                  place_.limb_channels, n - words.first, slab.first, slab.count);
    for (int limb = 0; limb < scheme_.image.limbs.count; ++limb) {
      own.right[static_cast<std::size_t>(limb)].fill(call_.b, right_layout_, scheme_.image, scheme_.tiles->copies, limb,
                                                     1, right_layout_.channels, n, slab.first, slab.count);
    }
    const std::int64_t width = call_.a.pixels.x;
    const std::int64_t lines = ceil_div(slab.count, ceil_div(slab.count, block_lines_));
    own.ahead.spread(slab.count * width * scheme_.image.limbs.count * place_.groups * place_.channels / outer_.rows);
    for (std::int64_t line = 0; line < slab.count; line += lines) {
      for (std::int64_t x = 0; x < width; x += block_width_) {
        isa::OuterCall call;
        call.pixels = std::min(lines, slab.count - line) * std::min(block_width_, width - x);
        own.sums.expect(call.pixels * images, scheme_.terms, kernels_);
        run_block(call, line, x, own);
      }
    }
    if (scheme_.columns.low_offset != 0) stored_->add_right(own.right[0].data(), slab.count, own.sums.right.data());
    if (scheme_.image.offset != 0) {
      stored_->add_left(own.left.data(), place_.channels, slab.count * width, own.sums.left.data());
    }
  }

  void run_block(isa::OuterCall call, std::int64_t line, std::int64_t x, Partial& own) const {
    call.left_step = own.left.pixel_bytes();
    call.places = places_.data();
    const std::byte* left = own.left.data() + line * own.left.row_bytes() + x * call.left_step;
    for (int limb = 0; limb < scheme_.image.limbs.count; ++limb) {
      const Interleaved& image = own.right[static_cast<std::size_t>(limb)];
      call.right = image.data() + line * right_line() + x * right_step();
      for (std::int64_t group = 0; group < place_.groups; ++group) {
        call.vectors = vectors_.data() + group * outer_.vectors;
        for (std::int64_t rows = 0; rows < place_.channels / outer_.rows; ++rows) {
          call.left = left + rows * outer_.rows * 4;
          call.sums = own.sums.tile(place_.tile(limb, group, rows));
          own.ahead.give(call);
          outer_.run(call);
        }
      }
    }
  }

  // Calls f(column, sums, count) for a channel's outputs, taps that are neighbours together.
  template <class F>
  void for_taps(const std::int64_t* sums, const F& f) const {
    const std::int64_t words = window_.taps_a_run * window_.channels;
    const std::int64_t pitch = ceil_div(words, std::int64_t{outer_.lanes}) * outer_.lanes;
    for (std::int64_t run = 0; run < window_.runs(); ++run) {
      const auto column = [&](std::int64_t tap) {
        return window_.taps[static_cast<std::size_t>(run * window_.taps_a_run + tap)];
      };
      for (std::int64_t tap = 0, next = 0; tap < window_.taps_a_run; tap = next) {
        do ++next;
        while (next < window_.taps_a_run && column(next) == column(tap) + (next - tap) * window_.channels);
        f(column(tap), sums + run * pitch + tap * window_.channels, (next - tap) * window_.channels);
      }
    }
  }

  Events finish(const OuterSums& all) {
    Events events;
    const MutableMatrix& out = call_.out;
    OuterJoin join(all, place_, scheme_, kernels_);
    if (is_sum_itself(call_, sum_bound_of_formats(call_.a.depth(), call_.a.format, call_.b.format))) {
      for (std::int64_t channel = 0; channel < out.rows; ++channel) {
        for_taps(join.channel(channel), [&](std::int64_t column, const std::int64_t* sums, std::int64_t count) {
          const std::int64_t at = channel * out.row_stride + column * out.col_stride;
          events.inexact_carriers +=
              generic::store(sums, count, call_.output.format.fl, out.data, out.storage, at, out.col_stride);
        });
      }
      return events;
    }
    generic::Scratch scratch;
    std::vector<I> values(static_cast<std::size_t>(out.cols));
    scratch.reserve(out.cols);
    for (std::int64_t channel = 0; channel < out.rows; ++channel) {
      for_taps(join.channel(channel), [&](std::int64_t column, const std::int64_t* sums, std::int64_t count) {
        std::transform(sums, sums + count, values.begin() + column,
                       [](std::int64_t sum) { return static_cast<I>(sum); });
      });
      finisher_.run({channel, 1, 0, out.cols}, values, scratch, events);
    }
    return events;
  }

  const GemmCall& call_;
  const isa::Kernels& kernels_;
  generic::Finisher<I> finisher_;
  Scheme scheme_;
  const isa::Outer& outer_;
  ImageLayout left_layout_, right_layout_;
  RunPlan window_;
  OuterPlace place_;
  std::vector<std::int64_t> vectors_;
  std::optional<StoredSums> stored_;
  std::int64_t block_lines_ = 1, block_width_ = 1;
  std::vector<std::uint32_t> places_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Partial>> partials_;
};

}  // namespace fxsim::exact
