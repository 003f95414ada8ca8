// How many elements are not 0, along the images or the channels of an array (n, y, x, c) of integers.
#pragma once

#include <cstdint>

#include "kernels/isa/non_zero.hpp"
#include "numbers/array.hpp"

namespace fxsim::generic {

// counts[(y, x, c)]: images whose element there is not 0.
void count_images(const StridedArray& array, const isa::NonZero& kernels, std::int64_t* counts);

// counts[(y, x)]: channels whose element there is not 0, of the first image. On the calling thread.
void count_channels(const StridedArray& array, const isa::NonZero& kernels, std::uint32_t* counts);

// sums[r][i] += from[r][i] of `rows` rows that lie stride apart, by whatever adds such counts.
inline void add(const isa::NonZero&, const std::int64_t* from, std::int64_t stride, std::int64_t rows,
                std::int64_t count, std::int64_t* sums, std::int64_t sums_stride) {
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t i = 0; i < count; ++i) sums[r * sums_stride + i] += from[r * stride + i];
  }
}
inline void add(const isa::NonZero& kernels, const std::uint32_t* from, std::int64_t stride, std::int64_t rows,
                std::int64_t count, std::uint32_t* sums, std::int64_t sums_stride) {
  kernels.add(from, stride, rows, count, sums, sums_stride);
}
inline void add(const isa::NonZero& kernels, const std::uint16_t* from, std::int64_t stride, std::int64_t rows,
                std::int64_t count, std::uint16_t* sums, std::int64_t sums_stride) {
  kernels.add_short(from, stride, rows, count, sums, sums_stride);
}

}  // namespace fxsim::generic
