// Of an operand whose k runs over pixels, an image at a time: elements that are not 0 are added up channel by channel
// first, then tap by tap.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "kernels/generic/pixel_taps.hpp"

namespace fxsim::generic {

class PixelCounts {
 public:
  PixelCounts(const PixelTaps& taps, const isa::NonZero& kernels)
      : kernels_(kernels),
        taps_(taps),
        channels_(size_of(taps.places())),
        sums_(channels_.size()),
        own_(taps, kernels),
        all_(taps, kernels) {}

  // Taps that meet an element other than 0.
  const std::uint32_t* image(std::int64_t n, std::int64_t steps) {
    const Operand& o = taps_.operand;
    count_channels(elements(advanced(o, n * o.stride_n + steps)), kernels_, channels_.data());
    kernels_.add(channels_.data(), 0, 1, taps_.places(), sums_.data(), 0);
    return own_.of(channels_.data());
  }

  // Calls use(the same of the images since the last call together), while 32 bits hold that; their elements are added
  // to nnz.
  template <class F>
  void images(std::int64_t& nnz, const F& use) {
    nnz = std::accumulate(sums_.begin(), sums_.end(), nnz);
    use(all_.of(sums_.data()));
    std::ranges::fill(sums_, 0);
  }

 private:
  const isa::NonZero& kernels_;
  const PixelTaps& taps_;
  Counts channels_, sums_;
  TapSums<std::uint32_t> own_, all_;
};

}  // namespace fxsim::generic
