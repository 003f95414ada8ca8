// Float32 batch normalisation of channels-last images, with an addition and a ReLU in the same pass. The order of every
// sum is part of the meaning (docs/spec/ops/batch_norm_relu.md), so that one result exists for all instruction sets
// and threads. Images are matrices of pixels times channels, contiguous.
#pragma once

#include <cstdint>

namespace fxsim {

// Pixels whose sums are taken in float32; sums over blocks are taken in float64.
inline constexpr std::int64_t kBatchNormBlock = 256;

// mean[c], variance[c] <- those of channel c over all pixels. Where running statistics are given, they move towards
// the mean and the unbiased variance by `momentum`.
struct BatchStatisticsCall {
  const float* x = nullptr;
  std::int64_t pixels = 0;  // 2 or more
  std::int64_t channels = 0;
  float* mean = nullptr;
  float* variance = nullptr;
  float* running_mean = nullptr;
  float* running_variance = nullptr;
  double momentum = 0;
};

// What a channel is normalised with. Without weight it is 1, without bias 0.
struct Affine {
  const float* mean = nullptr;
  const float* variance = nullptr;
  const float* weight = nullptr;
  const float* bias = nullptr;
  double eps = 0;
};

// y <- (x - mean) * weight / sqrt(variance + eps) + bias + residual, and 0 where that is negative under `relu`.
struct BatchNormCall {
  const float* x = nullptr;
  std::int64_t pixels = 0;
  std::int64_t channels = 0;
  Affine affine;
  bool relu = false;
  const float* residual = nullptr;
  float* y = nullptr;
};

// The gradients of that. `y` and `grad_residual` are given together, where there is a residual and a ReLU; otherwise y
// is found anew from x, and the residual's gradient is `grad` itself. Without `batch_statistics` mean and variance are
// constants.
struct BatchNormBackwardCall {
  const float* grad = nullptr;
  const float* x = nullptr;
  const float* y = nullptr;
  std::int64_t pixels = 0;
  std::int64_t channels = 0;
  Affine affine;
  bool relu = false;
  bool batch_statistics = false;
  float* grad_x = nullptr;
  float* grad_residual = nullptr;
  float* grad_weight = nullptr;
  float* grad_bias = nullptr;
};

void batch_statistics(const BatchStatisticsCall& call);
void batch_norm_relu(const BatchNormCall& call);
void batch_norm_relu_backward(const BatchNormBackwardCall& call);

}  // namespace fxsim
