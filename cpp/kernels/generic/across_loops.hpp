// The loops of isa/across.hpp in vectors that the compiler cuts to those of the instruction set it is told. Internal
// linkage, as lanes.hpp.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/isa/across.hpp"

namespace fxsim::isa {
namespace {

inline constexpr std::int64_t kAcrossLanes = 16;

template <class Sum>
struct AcrossLoops {
  using Words [[gnu::vector_size(2 * kAcrossLanes)]] = std::int16_t;
  using Sums [[gnu::vector_size(sizeof(Sum) * kAcrossLanes)]] = Sum;

  [[gnu::always_inline]] static void load(const std::int16_t* from, Sums& to) {
    Words words;
    std::memcpy(&words, from, sizeof words);
    to = __builtin_convertvector(words, Sums);
  }

  template <int kPixels>
  [[gnu::always_inline]] static void sum_group(const std::int16_t* image, std::int64_t pitch, const std::int64_t* taps,
                                               std::int64_t tap_count, const std::int16_t* weights,
                                               std::int64_t weight_pitch, std::int64_t channels, Sum* sums) {
    std::int64_t c = 0;
    for (; c + kAcrossLanes <= channels; c += kAcrossLanes) {
      Sums sum[kPixels] = {};
      for (std::int64_t t = 0; t < tap_count; ++t) {
        Sums weight, value;
        load(weights + t * weight_pitch + c, weight);
        for (int p = 0; p < kPixels; ++p) {
          load(image + p * pitch + taps[t] + c, value);
          sum[p] += value * weight;
        }
      }
      for (int p = 0; p < kPixels; ++p) std::memcpy(sums + p * channels + c, &sum[p], sizeof sum[p]);
    }
    for (; c < channels; ++c) {
      for (int p = 0; p < kPixels; ++p) {
        Sum sum = 0;
        for (std::int64_t t = 0; t < tap_count; ++t) {
          sum += Sum{image[p * pitch + taps[t] + c]} * Sum{weights[t * weight_pitch + c]};
        }
        sums[p * channels + c] = sum;
      }
    }
  }

  static void run_taps(const std::int16_t* image, std::int64_t pitch, std::int64_t pixels, const std::int64_t* taps,
                       std::int64_t tap_count, const std::int16_t* weights, std::int64_t weight_pitch,
                       std::int64_t channels, Sum* sums) {
    constexpr int kTogether = 4;
    std::int64_t p = 0;
    for (; p + kTogether <= pixels; p += kTogether) {
      sum_group<kTogether>(image + p * pitch, pitch, taps, tap_count, weights, weight_pitch, channels,
                           sums + p * channels);
    }
    for (; p < pixels; ++p) {
      sum_group<1>(image + p * pitch, pitch, taps, tap_count, weights, weight_pitch, channels, sums + p * channels);
    }
  }

  static void run_pixels(const std::int16_t* left, std::int64_t left_pitch, const std::int16_t* right,
                         std::int64_t right_pitch, std::int64_t pixels, std::int64_t channels, Sum* sums) {
    std::int64_t c = 0;
    for (; c + kAcrossLanes <= channels; c += kAcrossLanes) {
      Sums sum;
      std::memcpy(&sum, sums + c, sizeof sum);
      for (std::int64_t p = 0; p < pixels; ++p) {
        Sums a, b;
        load(left + p * left_pitch + c, a);
        load(right + p * right_pitch + c, b);
        sum += a * b;
      }
      std::memcpy(sums + c, &sum, sizeof sum);
    }
    for (; c < channels; ++c) {
      for (std::int64_t p = 0; p < pixels; ++p) {
        sums[c] += Sum{left[p * left_pitch + c]} * Sum{right[p * right_pitch + c]};
      }
    }
  }

  static constexpr AcrossOf<Sum> kTable{&run_taps, &run_pixels};
};

constexpr Across kAcross{AcrossLoops<std::int32_t>::kTable, AcrossLoops<std::int64_t>::kTable};

}  // namespace
}  // namespace fxsim::isa
