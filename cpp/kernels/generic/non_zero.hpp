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

}  // namespace fxsim::generic
