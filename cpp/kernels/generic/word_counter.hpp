// Words (n, y, x, c) written a stretch at a time, and counted while they are still in the cache.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <mutex>
#include <utility>
#include <vector>

#include "kernels/isa/isa.hpp"
#include "kernels/word_counts.hpp"
#include "numbers/array.hpp"
#include "numbers/integers.hpp"

namespace fxsim::generic {

// A task writes the same stretch of several images, as many as the sums of bytes allow.
class WordCounter {
 public:
  // past: words go past the caches, by way of a stretch that stays there; they begin a line.
  WordCounter(WordCounts& counts, void* words, Storage storage, const isa::Kernels& kernels, bool past)
      : counts_(counts), words_(words), storage_(storage), kernels_(kernels), past_(past) {}

  std::int64_t tasks() const { return ceil_div(images_, images_a_task_) * parts_; }

  // Calls write(first word, end, where) for every stretch of a task, and counts what is there then.
  template <class F>
  void run(std::int64_t task, const F& write) {
    const std::int64_t first = task / parts_ * images_a_task_, start = task % parts_ * stretch_;
    std::vector<std::uint8_t> sums(static_cast<std::size_t>(std::min(stretch_, pixels_ - start) * channels_));
    run_part(start, first, std::min(images_, first + images_a_task_), write, sums.data());
    const std::lock_guard lock(mutex_);
    add(sums, start);
  }

  // The same for images first .. end - 1, at most kMostImages; `finish` is to be called after the last ones.
  template <class F>
  void run_images(std::int64_t first, std::int64_t end, const F& write) {
    Sums own = taken(end - first);
    for (std::int64_t start = 0; start < pixels_; start += stretch_) {
      run_part(start, first, end, write, own.bytes.data() + start * channels_);
    }
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(own));
  }

  void finish() {
    for (const Sums& each : waiting_) add(each.bytes, 0);
    waiting_.clear();
  }

  static constexpr std::int64_t kMostImages = std::numeric_limits<std::uint8_t>::max();

 private:
  // Of every place, over so many images.
  struct Sums {
    std::vector<std::uint8_t> bytes;
    std::int64_t images = 0;
  };

  // Sums of no other task that hold so many images more.
  Sums taken(std::int64_t images) {
    const std::lock_guard lock(mutex_);
    Sums own;
    if (!waiting_.empty()) {
      own = std::move(waiting_.back());
      waiting_.pop_back();
    }
    own.bytes.resize(counts_.places.size());
    if (own.images + images > kMostImages) {
      add(own.bytes, 0);
      std::ranges::fill(own.bytes, std::uint8_t{0});
      own.images = 0;
    }
    own.images += images;
    return own;
  }

  // Sums from pixel `start` on.
  void add(const std::vector<std::uint8_t>& sums, std::int64_t start) {
    counts_.total +=
        kernels_.non_zero->add_bytes(sums.data(), std::ssize(sums), counts_.places.data() + start * channels_);
  }

  template <class F>
  void run_part(std::int64_t start, std::int64_t first, std::int64_t end, const F& write, std::uint8_t* sums) {
    const std::int64_t pixels = std::min(stretch_, pixels_ - start);
    const auto count_words = kernels_.non_zero->count_words[static_cast<std::size_t>(storage_)];
    const auto element = static_cast<std::int64_t>(element_bytes(storage_));
    std::vector<Line> lines(past_ ? static_cast<std::size_t>(together_ * channels_ * element / isa::kStreamLine) : 0);
    for (std::int64_t n = first; n < end; ++n) {
      for (std::int64_t done = 0; done < pixels; done += together_) {
        const std::int64_t pixel = n * pixels_ + start + done, count = std::min(together_, pixels - done);
        const std::int64_t at = pixel * channels_;
        const std::int64_t bytes = count * channels_ * element;
        const bool past = past_ && bytes % isa::kStreamLine == 0 && at * element % isa::kStreamLine == 0;
        void* out = advanced(words_, storage_, at);
        void* to = past ? static_cast<void*>(lines.data()) : out;
        write(at, at + count * channels_, to);
        count_words(to, count, channels_, sums + done * channels_, counts_.pixels.get() + pixel);
        if (past) kernels_.streaming->lines(to, bytes, out);
      }
    }
    if (past_) kernels_.streaming->end();
  }

  static constexpr std::int64_t kStretch = std::int64_t{1} << 15;  // words
  static constexpr std::int64_t kTogether = std::int64_t{1} << 12;
  static constexpr std::int64_t kTask = std::int64_t{1} << 17;

  struct alignas(isa::kStreamLine) Line {
    std::byte bytes[isa::kStreamLine];
  };

  WordCounts& counts_;
  void* words_;
  Storage storage_;
  const isa::Kernels& kernels_;
  bool past_;
  std::mutex mutex_;
  std::vector<Sums> waiting_;
  const std::int64_t images_ = counts_.shape[0], channels_ = counts_.shape[3];
  const std::int64_t pixels_ = counts_.shape[1] * counts_.shape[2];
  const std::int64_t stretch_ = std::clamp<std::int64_t>(kStretch / channels_, 1, pixels_);
  const std::int64_t together_ = std::clamp<std::int64_t>(kTogether / channels_, 1, stretch_);
  const std::int64_t parts_ = ceil_div(pixels_, stretch_);
  const std::int64_t images_a_task_ = std::clamp<std::int64_t>(kTask / (stretch_ * channels_), 1, kMostImages);
};

}  // namespace fxsim::generic
