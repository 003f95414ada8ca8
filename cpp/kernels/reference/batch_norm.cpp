// The passes of batch normalisation, one number after the other: what every other path must equal.
#include "kernels/reference/reference.hpp"

namespace fxsim::reference {
namespace {

using isa::Masking;
using isa::Normal;

float normal_of(float x, const Normal& normal, std::int64_t c) {
  return (x - normal.mean[c]) * normal.scale[c] + normal.bias[c];
}

void sum(const float* x, std::int64_t pixels, std::int64_t channels, float* sums, float* squares) {
  for (std::int64_t c = 0; c < channels; ++c) {
    float lanes[2] = {0, 0};
    float square_lanes[2] = {0, 0};
    for (std::int64_t p = 0; p < pixels; ++p) {
      const float d = x[p * channels + c] - x[c];
      lanes[p % 2] += d;
      square_lanes[p % 2] += d * d;
    }
    sums[c] = lanes[0] + lanes[1];
    squares[c] = square_lanes[0] + square_lanes[1];
  }
}

void normalise(const float* x, const float* residual, std::int64_t pixels, std::int64_t channels, Normal normal,
               bool relu, bool, float* y) {
  for (std::int64_t i = 0; i < pixels * channels; ++i) {
    float v = normal_of(x[i], normal, i % channels);
    if (residual != nullptr) v += residual[i];
    y[i] = relu && v <= 0 ? 0 : v;
  }
}

void sum_gradients(const float* grad, const float* x, const float* y, std::int64_t pixels, std::int64_t channels,
                   Normal normal, Masking masking, bool, float* sums, float* products, float* masked) {
  for (std::int64_t c = 0; c < channels; ++c) {
    float lanes[2] = {0, 0};
    float product_lanes[2] = {0, 0};
    for (std::int64_t p = 0; p < pixels; ++p) {
      const std::int64_t i = p * channels + c;
      const bool shut = (masking == Masking::kNormal && normal_of(x[i], normal, c) <= 0) ||
                        (masking == Masking::kOutput && y[i] <= 0);
      const float g = shut ? 0 : grad[i];
      if (masking == Masking::kOutput) masked[i] = g;
      lanes[p % 2] += g;
      product_lanes[p % 2] += g * (x[i] - normal.mean[c]);
    }
    sums[c] = lanes[0] + lanes[1];
    products[c] = product_lanes[0] + product_lanes[1];
  }
}

void distribute(const float* grad, const float* x, std::int64_t pixels, std::int64_t channels, Normal normal,
                Masking masking, const float* shift, const float* slope, bool, float* grad_x) {
  for (std::int64_t i = 0; i < pixels * channels; ++i) {
    const std::int64_t c = i % channels;
    const float g = masking == Masking::kNormal && normal_of(x[i], normal, c) <= 0 ? 0 : grad[i];
    grad_x[i] = ((g - shift[c]) - (x[i] - normal.mean[c]) * slope[c]) * normal.scale[c];
  }
}

}  // namespace

const isa::BatchNormPasses kBatchNorm{&sum, &normalise, &sum_gradients, &distribute};

}  // namespace fxsim::reference
