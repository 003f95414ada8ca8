// Macs whose k runs over pixels, of operands whose words were counted as they were written: no element is looked at.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/generic/pixel_taps.hpp"
#include "kernels/macs.hpp"
#include "kernels/parallel.hpp"
#include "numbers/integers.hpp"

namespace fxsim::generic {

// Rows of an operand, whose counts at a pixel 15 bits must hold.
inline bool are_short(const Operand& o) { return o.taps.count() <= std::numeric_limits<std::int16_t>::max(); }

// Rows that meet an element other than 0 at each pixel, over all images.
class PixelTotals {
 public:
  PixelTotals(const PixelTaps& taps, const WordCounts& counts, const isa::NonZero& kernels)
      : places_(size_of(taps.places())), sums_(taps, kernels) {
    const std::int64_t channels = counts.shape[3];
    const std::uint32_t* at = counts.places.data();
    for (std::int64_t& place : places_) {
      place = std::accumulate(at, at + channels, std::int64_t{0});
      at += channels;
    }
    met_ = sums_.of(places_.data());
  }

  std::int64_t dot(const Counts& other) const {
    return std::inner_product(other.begin(), other.end(), met_, std::int64_t{0});
  }

 private:
  std::vector<std::int64_t> places_;
  TapSums<std::int64_t> sums_;
  const std::int64_t* met_;
};

// The product of two operands that are `are_short`.
inline MacCounts count_known_pixels(const Operand& a, const Operand& b, const WordCounts& of_a, const WordCounts& of_b,
                                    const isa::NonZero& kernels) {
  constexpr std::int64_t kImages = 16;
  const std::int64_t images = a.pixels.n;
  const PixelTaps taps_a(a), taps_b(b);
  const std::int64_t run =
      std::numeric_limits<std::int32_t>::max() / std::max<std::int64_t>(a.taps.count() * b.taps.count(), 1);
  std::vector<std::int64_t> met(size_of(ceil_div(images, kImages)));
  parallel_for(static_cast<std::int64_t>(met.size()), [&](std::int64_t block) {
    TapSums<std::uint16_t> sums_a(taps_a, kernels), sums_b(taps_b, kernels);
    const std::int64_t first = block * kImages, end = std::min(images, first + kImages);
    for (std::int64_t n = first; n < end; ++n) {
      const std::uint16_t* x = sums_a.of(of_a.pixels.get() + n * taps_a.places());
      const std::uint16_t* y = sums_b.of(of_b.pixels.get() + n * taps_b.places());
      met[size_of(block)] += kernels.dot_short(x, y, taps_a.pixels(), run);
    }
  });
  const Counts valid_a = taps_a.valid(), valid_b = taps_b.valid();
  MacCounts total;
  total.valid = kernels.dot(valid_a.data(), valid_b.data(), taps_a.pixels()) * images;
  total.a_met = PixelTotals(taps_a, of_a, kernels).dot(valid_b);
  total.b_met = PixelTotals(taps_b, of_b, kernels).dot(valid_a);
  total.both_met = std::accumulate(met.begin(), met.end(), std::int64_t{0});
  total.nnz_a = of_a.total;
  total.nnz_b = of_b.total;
  return total;
}

}  // namespace fxsim::generic
