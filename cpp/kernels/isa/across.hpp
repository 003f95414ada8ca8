// Sums of products of channels that do not meet, as in a depthwise convolution: a lane a channel, values of 16 bits.
#pragma once

#include <cstdint>

namespace fxsim::isa {

// sums[p][c] = the sum over taps t of image[p * pitch + taps[t] + c] * weights[t * weight_pitch + c].
template <class Sum>
using SumTaps = void (*)(const std::int16_t* image, std::int64_t pitch, std::int64_t pixels, const std::int64_t* taps,
                         std::int64_t tap_count, const std::int16_t* weights, std::int64_t weight_pitch,
                         std::int64_t channels, Sum* sums);

// sums[c] += the sum over pixels p of left[p * left_pitch + c] * right[p * right_pitch + c].
template <class Sum>
using SumPixels = void (*)(const std::int16_t* left, std::int64_t left_pitch, const std::int16_t* right,
                           std::int64_t right_pitch, std::int64_t pixels, std::int64_t channels, Sum* sums);

template <class Sum>
struct AcrossOf {
  SumTaps<Sum> taps;
  SumPixels<Sum> pixels;
};

// The caller bounds the sums.
struct Across {
  AcrossOf<std::int32_t> narrow;
  AcrossOf<std::int64_t> wide;
};

}  // namespace fxsim::isa
