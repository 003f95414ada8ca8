#include "kernels/generic/non_zero.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <mutex>
#include <type_traits>
#include <vector>

#include "kernels/generic/elements.hpp"
#include "kernels/parallel.hpp"
#include "numbers/integers.hpp"

namespace fxsim::generic {
namespace {

constexpr std::size_t kN = 0, kY = 1, kX = 2, kC = 3;

std::size_t index_of(const StridedArray& array) { return static_cast<std::size_t>(array.storage); }

// Of pixels wherever they are.
void count_apart(const StridedArray& array, std::uint32_t* counts) {
  const std::int64_t width = array.shape[kX];
  with_storage(array.storage, array.data, [&](const auto* data) {
    for (std::int64_t y = 0; y < array.shape[kY]; ++y) {
      std::uint32_t* to = counts + y * width;
      std::fill_n(to, width, 0);
      for (std::int64_t c = 0; c < array.shape[kC]; ++c) {
        const auto* line = data + y * array.strides[kY] + c * array.strides[kC];
        for (std::int64_t x = 0; x < width; ++x) to[x] += line[x * array.strides[kX]] != 0 ? 1 : 0;
      }
    }
  });
}

// Adds the flags of images first, first + 1, ... to counts, one of each place; `image` is the first of all.
void add_images(const StridedArray& image, std::int64_t stride, std::int64_t first, std::int64_t images,
                isa::AddFlags add_flags, std::int64_t* counts) {
  constexpr std::int64_t kMost = std::numeric_limits<std::uint8_t>::max();
  const std::int64_t places = image.size();
  const bool together = image.dims == 1 && image.strides[0] == 1;
  const std::size_t bytes = together ? 0 : static_cast<std::size_t>(places) * element_bytes(image.storage);
  std::vector<std::byte> copy(bytes);
  std::vector<std::uint8_t> sums(static_cast<std::size_t>(places));
  for (std::int64_t n = 0; n < images; ++n) {
    StridedArray own = image;
    own.data = advanced(image.data, image.storage, (first + n) * stride);
    if (!together) {
      with_storage(image.storage, own.data, [&](const auto* from) {
        using T = std::remove_cvref_t<decltype(*from)>;
        copy_elements(own, 0, places, reinterpret_cast<T*>(copy.data()));
      });
    }
    add_flags(together ? own.data : copy.data(), places, sums.data());
    if (n % kMost == kMost - 1 || n + 1 == images) {
      for (std::int64_t i = 0; i < places; ++i) counts[i] += sums[static_cast<std::size_t>(i)];
      std::ranges::fill(sums, 0);
    }
  }
}

}  // namespace

void count_images(const StridedArray& array, const isa::NonZero& kernels, std::int64_t* counts) {
  constexpr std::int64_t kImages = 64, kTasks = 8;
  const std::int64_t images = array.shape[kN], stride = array.strides[kN];
  StridedArray image = array;
  image.dims = 3;
  for (std::size_t d = 0; d < 3; ++d) {
    image.shape[d] = array.shape[d + 1];
    image.strides[d] = array.strides[d + 1];
  }
  const std::int64_t places = image.size();
  if (stride == 1 && image.strides[2] != 1) {  // a matrix transposed: the images are what stands together
    parallel_for(places, [&](std::int64_t place) {
      const std::int64_t c = place % image.shape[2], line = place / image.shape[2];
      const std::int64_t offset = line / image.shape[1] * image.strides[0] + line % image.shape[1] * image.strides[1];
      std::uint32_t sum = 0;
      kernels.count_pixels[index_of(array)](advanced(array.data, array.storage, offset + c * image.strides[2]), 1,
                                            images, &sum);
      counts[place] = sum;
    });
    return;
  }
  image = merged(image);
  std::fill_n(counts, places, 0);
  std::mutex mutex;
  const std::int64_t tasks = std::clamp<std::int64_t>(images / kImages, 1, kTasks);
  const std::int64_t share = ceil_div(images, tasks);
  parallel_for(tasks, [&](std::int64_t task) {
    const std::int64_t first = task * share;
    std::vector<std::int64_t> own(static_cast<std::size_t>(places));
    add_images(image, stride, first, std::min(share, images - first), kernels.add_flags[index_of(array)], own.data());
    const std::lock_guard lock(mutex);
    for (std::int64_t i = 0; i < places; ++i) counts[i] += own[static_cast<std::size_t>(i)];
  });
}

void count_channels(const StridedArray& array, const isa::NonZero& kernels, std::uint32_t* counts) {
  const std::int64_t height = array.shape[kY], width = array.shape[kX], channels = array.shape[kC];
  const auto count_pixels = kernels.count_pixels[index_of(array)];
  const bool line_together = array.strides[kC] == 1 && (array.strides[kX] == channels || width == 1);
  if (!line_together) {
    count_apart(array, counts);
  } else if (array.strides[kY] == width * channels) {
    count_pixels(array.data, height * width, channels, counts);
  } else {
    for (std::int64_t y = 0; y < height; ++y) {
      const void* line = advanced(array.data, array.storage, y * array.strides[kY]);
      count_pixels(line, width, channels, counts + y * width);
    }
  }
}

}  // namespace fxsim::generic
