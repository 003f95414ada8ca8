// What one thread has summed of an outer product: tiles of 32 bits while those hold every sum, 64 bits from then on.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/isa/isa.hpp"
#include "numbers/aligned.hpp"

namespace fxsim::exact {

class OuterSums {
 public:
  OuterSums(std::size_t size, std::size_t lefts, std::size_t rights) : left(lefts), right(rights), tiles_(size, 0) {}

  // To be called before as many terms are added to each sum; 32 bits hold `most` of them.
  void expect(std::int64_t terms, std::int64_t most, const isa::Kernels& kernels) {
    if (pending_ + terms > most) flush(kernels);
    pending_ += terms;
    count_ += terms;
  }

  std::int32_t* tile(std::int64_t at) { return tiles_.data() + at; }

  void merge(OuterSums& other, const isa::Kernels& kernels) {
    flush(kernels);
    other.flush(kernels);
    add(other.flushed_, flushed_);
    add(other.left, left);
    add(other.right, right);
    count_ += other.count_;
  }

  // To be called before sums are read.
  void close(const isa::Kernels& kernels) {
    if (!flushed_.empty()) flush(kernels);
  }

  std::int64_t count() const { return count_; }

  // to[i] += (sum number at + i) * 2^shift, mod 2^64.
  void add_to(std::int64_t at, std::int64_t count, int shift, std::uint64_t* to, const isa::Kernels& kernels) const {
    if (flushed_.empty()) return kernels.add_shifted(tiles_.data() + at, count, shift, to);
    for (std::int64_t i = 0; i < count; ++i) to[i] += flushed_[static_cast<std::size_t>(at + i)] << shift;
  }

  std::vector<std::int64_t> left, right;  // sums of the stored elements

 private:
  template <class T>
  static void add(const std::vector<T>& from, std::vector<T>& to) {
    std::transform(from.begin(), from.end(), to.begin(), to.begin(), [](T a, T b) { return a + b; });
  }

  void flush(const isa::Kernels& kernels) {
    flushed_.resize(tiles_.size());
    if (pending_ == 0) return;
    kernels.add_shifted(tiles_.data(), static_cast<std::int64_t>(tiles_.size()), 0, flushed_.data());
    std::fill(tiles_.begin(), tiles_.end(), 0);
    pending_ = 0;
  }

  LineVector<std::int32_t> tiles_;
  std::vector<std::uint64_t> flushed_;  // mod 2^64; empty: nothing was flushed yet
  std::int64_t pending_ = 0;            // terms in the tiles
  std::int64_t count_ = 0;
};

}  // namespace fxsim::exact
