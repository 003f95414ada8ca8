// How many elements are not 0, along the images or the channels of an array (n, y, x, c).
#pragma once

#include <cstdint>

#include "numbers/array.hpp"

namespace fxsim {

// counts[(y, x, c)]: images whose element there is not 0.
void count_images(const StridedArray& array, std::int64_t* counts);

// counts[(n, y, x)]: channels whose element there is not 0.
void count_channels(const StridedArray& array, std::int32_t* counts);

}  // namespace fxsim
