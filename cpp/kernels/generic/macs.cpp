// An element stands in many places of its matrix, so places are not visited one by one: what they share is added up
// first. Where k is a tap, that is the images; where k is a pixel, the channels.
#include "kernels/generic/macs.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/generic/known_pixels.hpp"
#include "kernels/generic/pixel_counts.hpp"
#include "kernels/generic/reach.hpp"
#include "kernels/generic/tap_counts.hpp"
#include "kernels/parallel.hpp"
#include "numbers/integers.hpp"

namespace fxsim::generic {
namespace {

std::int64_t dot(const Sums& a, const Sums& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), std::int64_t{0});
}

MacCounts count_taps(const Operand& a, const Operand& b, const Repeat& repeat, const WordCounts* of_a,
                     const WordCounts* of_b, const isa::NonZero& kernels) {
  TapCounts taps_a(a, repeat.a, repeat.count, of_a, kernels), taps_b(b, repeat.b, repeat.count, of_b, kernels);
  MacCounts total;
  for (std::int64_t i = 0; i < repeat.count; ++i) {
    const ByTap x = taps_a.product(i), y = taps_b.product(i);
    total.merge(
        {dot(x.valid, y.valid), dot(x.found, y.valid), dot(x.valid, y.found), dot(x.found, y.found), x.nnz, y.nnz});
  }
  return total;
}

// Images whose sums 32 bits hold, of a block of several.
std::int64_t images_together(const Operand& a, const Operand& b) {
  constexpr std::int64_t kImages = 16, kMost = std::numeric_limits<std::uint32_t>::max();
  return std::clamp<std::int64_t>(kMost / std::max<std::int64_t>({a.taps.count(), b.taps.count(), 1}), 1, kImages);
}

MacCounts count_pixels(const Operand& a, const Operand& b, const Repeat& repeat, const isa::NonZero& kernels) {
  constexpr std::int64_t kImages = 16;
  const std::int64_t images = a.pixels.n, pixels = a.pixels.y * a.pixels.x, together = images_together(a, b);
  const PixelTaps taps_a(a), taps_b(b);
  const Counts valid_a = taps_a.valid(), valid_b = taps_b.valid();
  std::vector<MacCounts> blocks(size_of(ceil_div(images, kImages)));
  parallel_for(static_cast<std::int64_t>(blocks.size()), [&](std::int64_t block) {
    PixelCounts counts_a(taps_a, kernels), counts_b(taps_b, kernels);
    MacCounts& total = blocks[size_of(block)];
    const std::int64_t first = block * kImages, end = std::min(images, first + kImages);
    std::int64_t added = 0;
    const auto close = [&] {
      counts_a.images(total.nnz_a, [&](const auto* met) { total.a_met += kernels.dot(met, valid_b.data(), pixels); });
      counts_b.images(total.nnz_b, [&](const auto* met) { total.b_met += kernels.dot(met, valid_a.data(), pixels); });
      added = 0;
    };
    for (std::int64_t n = first; n < end; ++n) {
      for (std::int64_t i = 0; i < repeat.count; ++i) {
        const std::uint32_t* x = counts_a.image(n, i * repeat.a);
        total.both_met += kernels.dot(x, counts_b.image(n, i * repeat.b), pixels);
        if (++added == together) close();
      }
    }
    if (added > 0) close();
  });
  MacCounts total;
  for (const MacCounts& own : blocks) total.merge(own);
  total.valid = kernels.dot(valid_a.data(), valid_b.data(), pixels) * images * repeat.count;
  return total;
}

}  // namespace

MacCounts count_macs(const Operand& a, const Operand& b, const Repeat& repeat, const WordCounts* of_a,
                     const WordCounts* of_b, const isa::NonZero& kernels) {
  if (repeat.count == 0) return {};
  const auto usable = [&](const WordCounts* counts, const Operand& o) {
    return repeat.count == 1 && counts != nullptr && are_all_of(*counts, o) ? counts : nullptr;
  };
  const WordCounts *words_a = usable(of_a, a), *words_b = usable(of_b, b);
  if (!a.transposed) return count_taps(a, b, repeat, words_a, words_b, kernels);
  if (words_a != nullptr && words_b != nullptr && are_short(a) && are_short(b)) {
    return count_known_pixels(a, b, *words_a, *words_b, kernels);
  }
  return count_pixels(a, b, repeat, kernels);
}

}  // namespace fxsim::generic
