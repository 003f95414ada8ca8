// Counts are kept as narrow as the elements themselves while they fit, so that vector lanes stay as many.
#include "kernels/non_zero.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "kernels/generic/elements.hpp"
#include "kernels/parallel.hpp"
#include "numbers/integers.hpp"

namespace fxsim {
namespace {

constexpr std::size_t kN = 0, kY = 1, kX = 2, kC = 3;

template <class F>
void with_integers(const StridedArray& array, const F& f) {
  with_storage(array.storage, array.data, [&](const auto* data) {
    if constexpr (std::is_integral_v<std::remove_cvref_t<decltype(*data)>>) f(data);
  });
}

template <class T>
void add_non_zero(const T* __restrict from, std::int64_t count, std::uint8_t* __restrict sums) {
  for (std::int64_t i = 0; i < count; ++i) sums[i] = static_cast<std::uint8_t>(sums[i] + (from[i] != 0 ? 1 : 0));
}

// Of elements that stand together.
template <class T>
std::int32_t count_run(const T* from, std::int64_t count) {
  using Sum = std::make_unsigned_t<T>;
  constexpr auto kMost = static_cast<std::int64_t>(std::min<std::uint64_t>(std::numeric_limits<Sum>::max(), 1 << 16));
  std::int64_t total = 0;
  for (std::int64_t start = 0; start < count; start += kMost) {
    const std::int64_t end = std::min(count, start + kMost);
    Sum sum = 0;
    for (std::int64_t i = start; i < end; ++i) sum = static_cast<Sum>(sum + (from[i] != 0 ? 1 : 0));
    total += static_cast<std::int64_t>(sum);
  }
  return static_cast<std::int32_t>(total);
}

}  // namespace

void count_images(const StridedArray& array, std::int64_t* counts) {
  constexpr std::int64_t kPlaces = 4096;
  constexpr std::int64_t kMost = std::numeric_limits<std::uint8_t>::max();
  StridedArray image = array;
  image.dims = 3;
  for (std::size_t d = 0; d < 3; ++d) {
    image.shape[d] = array.shape[d + 1];
    image.strides[d] = array.strides[d + 1];
  }
  image = generic::merged(image);
  const std::int64_t places = image.size();
  const bool together = image.dims == 1 && image.strides[0] == 1;
  with_integers(array, [&](const auto* data) {
    using T = std::remove_cvref_t<decltype(*data)>;
    parallel_for(ceil_div(places, kPlaces), [&](std::int64_t task) {
      const std::int64_t start = task * kPlaces;
      const std::int64_t count = std::min(kPlaces, places - start);
      std::array<T, kPlaces> copy;
      std::array<std::uint8_t, kPlaces> sums{};
      std::fill_n(counts + start, count, 0);
      for (std::int64_t n = 0; n < array.shape[kN]; ++n) {
        const T* from = data + n * array.strides[kN] + start;
        if (!together) {
          StridedArray own = image;
          own.data = data + n * array.strides[kN];
          generic::copy_elements(own, start, count, copy.data());
          from = copy.data();
        }
        add_non_zero(from, count, sums.data());
        if (n % kMost == kMost - 1 || n + 1 == array.shape[kN]) {
          for (std::int64_t i = 0; i < count; ++i) counts[start + i] += sums[static_cast<std::size_t>(i)];
          sums.fill(0);
        }
      }
    });
  });
}

void count_channels(const StridedArray& array, std::int32_t* counts) {
  const std::int64_t width = array.shape[kX], channels = array.shape[kC];
  with_integers(array, [&](const auto* data) {
    parallel_for(array.shape[kN] * array.shape[kY], [&](std::int64_t line) {
      const auto* from = data + line / array.shape[kY] * array.strides[kN] + line % array.shape[kY] * array.strides[kY];
      std::int32_t* to = counts + line * width;
      if (array.strides[kC] == 1) {
        for (std::int64_t x = 0; x < width; ++x) to[x] = count_run(from + x * array.strides[kX], channels);
        return;
      }
      std::fill_n(to, width, 0);
      for (std::int64_t c = 0; c < channels; ++c) {
        for (std::int64_t x = 0; x < width; ++x) {
          to[x] += from[x * array.strides[kX] + c * array.strides[kC]] != 0 ? 1 : 0;
        }
      }
    });
  });
}

}  // namespace fxsim
