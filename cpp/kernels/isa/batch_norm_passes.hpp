// The passes over memory that batch normalisation consists of: plain functions on contiguous pixels times channels.
// Sums run over at most kBatchNormBlock pixels in two lanes, even and odd pixels; channels do not meet.
#pragma once

#include <cstdint>

namespace fxsim::isa {

// One result per channel: normal(x) = (x - mean) * scale + bias.
struct Normal {
  const float* mean;
  const float* scale;
  const float* bias;
};

// Where a ReLU let nothing through: nowhere, where normal(x) <= 0, where y <= 0.
enum class Masking : std::uint8_t { kNone, kNormal, kOutput };

// Images may be written past the cache, which spares the memory from reading what will be overwritten: with `stream`
// the address is a multiple of kStreamLine bytes (isa.hpp), and so is the size of a pixel.
struct BatchNormPasses {
  // sums[c], squares[c]: of d and d * d, where d = x - the block's first pixel.
  void (*sum)(const float* x, std::int64_t pixels, std::int64_t channels, float* sums, float* squares);

  // y = normal(x), + residual if there is one, and 0 where that is at most 0 if `relu`.
  void (*normalise)(const float* x, const float* residual, std::int64_t pixels, std::int64_t channels, Normal normal,
                    bool relu, bool stream, float* y);

  // sums[c], products[c]: of g and g * (x - mean), where g is the gradient, 0 where masked. Under kOutput g is written
  // to `masked` too.
  void (*sum_gradients)(const float* grad, const float* x, const float* y, std::int64_t pixels, std::int64_t channels,
                        Normal normal, Masking masking, bool stream, float* sums, float* products, float* masked);

  // grad_x = ((g - shift) - (x - mean) * slope) * scale; kNone or kNormal.
  void (*distribute)(const float* grad, const float* x, std::int64_t pixels, std::int64_t channels, Normal normal,
                     Masking masking, const float* shift, const float* slope, bool stream, float* grad_x);
};

}  // namespace fxsim::isa
