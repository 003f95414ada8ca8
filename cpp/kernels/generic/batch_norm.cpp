// Batch normalisation around its passes: blocks over threads, float64 over blocks. Whatever is summed here is summed
// by one thread in the order of blocks.
#include "kernels/generic/batch_norm.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/parallel.hpp"
#include "kernels/streams.hpp"

namespace fxsim::generic {
namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

// Pixels in runs of kBatchNormBlock.
class Blocks {
 public:
  Blocks(std::int64_t pixels, std::int64_t channels) : pixels_(pixels), channels_(channels) {}

  std::int64_t count() const { return (pixels_ + kBatchNormBlock - 1) / kBatchNormBlock; }
  std::int64_t first_element(std::int64_t block) const { return block * kBatchNormBlock * channels_; }
  std::int64_t size(std::int64_t block) const { return std::min(kBatchNormBlock, pixels_ - block * kBatchNormBlock); }

  // Calls f(block, its first element, its pixels).
  template <class F>
  void forward(const F& f) const {
    parallel_for(count(), [&](std::int64_t block) { f(block, first_element(block), size(block)); });
  }

  // The same from the last block to the first, which meets what the pass before has left in the cache.
  template <class F>
  void backward(const F& f) const {
    const std::int64_t last = count() - 1;
    parallel_for(count(), [&](std::int64_t task) { f(first_element(last - task), size(last - task)); });
  }

 private:
  std::int64_t pixels_, channels_;
};

// Whether an image should be written past the cache; an instruction set that cannot takes no notice.
bool streams(const float* image, std::int64_t pixels, std::int64_t channels) {
  const std::int64_t pixel_bytes = channels * static_cast<std::int64_t>(sizeof(float));
  return pixel_bytes % isa::kStreamLine == 0 && belongs_past_caches(image, pixels * pixel_bytes);
}

// Two float32 sums per block and channel.
struct Partials {
  Partials(const Blocks& blocks, std::int64_t channels)
      : first(index(blocks.count() * channels)), second(index(blocks.count() * channels)) {}

  std::vector<float> first, second;
};

// Per channel what the passes take, found from the parameters.
struct Settled {
  Settled(const Affine& affine, std::int64_t channels)
      : inverse(index(channels)), scale(index(channels)), zeros(affine.bias == nullptr ? index(channels) : 0) {
    for (std::size_t c = 0; c < inverse.size(); ++c) {
      inverse[c] = 1.0 / std::sqrt(static_cast<double>(affine.variance[c]) + affine.eps);
      const double weight = affine.weight == nullptr ? 1.0 : static_cast<double>(affine.weight[c]);
      scale[c] = static_cast<float>(weight * inverse[c]);
    }
    normal = {affine.mean, scale.data(), affine.bias == nullptr ? zeros.data() : affine.bias};
  }

  std::vector<double> inverse;  // of the standard deviation
  std::vector<float> scale, zeros;
  isa::Normal normal{};
};

float toward(float running, double seen, double momentum) {
  return static_cast<float>((1.0 - momentum) * static_cast<double>(running) + momentum * seen);
}

}  // namespace

void batch_statistics(const BatchStatisticsCall& call, const isa::BatchNormPasses& passes) {
  const std::int64_t channels = call.channels;
  const Blocks blocks(call.pixels, channels);
  Partials partials(blocks, channels);
  float* sums = partials.first.data();
  float* squares = partials.second.data();
  blocks.forward([&](std::int64_t block, std::int64_t first, std::int64_t pixels) {
    passes.sum(call.x + first, pixels, channels, sums + block * channels, squares + block * channels);
  });

  // Blocks sum distances from their own first pixel, this the distances from the first pixel of all: without squares
  // of large numbers, the variance does not cancel away under a large mean.
  std::vector<double> sum(index(channels)), square(index(channels));
  for (std::int64_t block = 0; block < blocks.count(); ++block) {
    const float* origin = call.x + blocks.first_element(block);
    const auto pixels = static_cast<double>(blocks.size(block));
    for (std::int64_t c = 0; c < channels; ++c) {
      const double s = static_cast<double>(sums[block * channels + c]);
      const double q = static_cast<double>(squares[block * channels + c]);
      const double apart = static_cast<double>(origin[c]) - static_cast<double>(call.x[c]);
      sum[index(c)] += s + pixels * apart;
      square[index(c)] += q + (2.0 * s + pixels * apart) * apart;
    }
  }
  const auto count = static_cast<double>(call.pixels);
  for (std::int64_t c = 0; c < channels; ++c) {
    const double s = sum[index(c)];
    const double mean = static_cast<double>(call.x[c]) + s / count;
    const double spread = square[index(c)] - s * (s / count);
    const double squares_about_mean = spread < 0 ? 0.0 : spread;
    call.mean[c] = static_cast<float>(mean);
    call.variance[c] = static_cast<float>(squares_about_mean / count);
    if (call.running_mean == nullptr) continue;
    call.running_mean[c] = toward(call.running_mean[c], mean, call.momentum);
    call.running_variance[c] = toward(call.running_variance[c], squares_about_mean / (count - 1.0), call.momentum);
  }
}

void batch_norm_relu(const BatchNormCall& call, const isa::BatchNormPasses& passes) {
  const Settled settled(call.affine, call.channels);
  const bool stream = streams(call.y, call.pixels, call.channels);
  Blocks(call.pixels, call.channels).backward([&](std::int64_t first, std::int64_t pixels) {
    const float* residual = call.residual == nullptr ? nullptr : call.residual + first;
    passes.normalise(call.x + first, residual, pixels, call.channels, settled.normal, call.relu, stream,
                     call.y + first);
  });
}

void batch_norm_relu_backward(const BatchNormBackwardCall& call, const isa::BatchNormPasses& passes) {
  using isa::Masking;
  const std::int64_t channels = call.channels;
  const Settled settled(call.affine, channels);
  const Blocks blocks(call.pixels, channels);
  const bool from_output = call.y != nullptr;
  const Masking found_anew = call.relu ? Masking::kNormal : Masking::kNone;
  Partials partials(blocks, channels);
  const bool stream_masked = from_output && streams(call.grad_residual, call.pixels, channels);
  blocks.forward([&](std::int64_t block, std::int64_t first, std::int64_t pixels) {
    passes.sum_gradients(call.grad + first, call.x + first, from_output ? call.y + first : nullptr, pixels, channels,
                         settled.normal, from_output ? Masking::kOutput : found_anew, stream_masked,
                         partials.first.data() + block * channels, partials.second.data() + block * channels,
                         from_output ? call.grad_residual + first : nullptr);
  });

  std::vector<double> sum(index(channels)), product(index(channels));
  for (std::int64_t block = 0; block < blocks.count(); ++block) {
    for (std::int64_t c = 0; c < channels; ++c) {
      sum[index(c)] += static_cast<double>(partials.first[index(block * channels + c)]);
      product[index(c)] += static_cast<double>(partials.second[index(block * channels + c)]);
    }
  }
  std::vector<float> shift(index(channels)), slope(index(channels));
  const auto count = static_cast<double>(call.pixels);
  for (std::size_t c = 0; c < sum.size(); ++c) {
    const double along = product[c] * settled.inverse[c];
    call.grad_bias[c] = static_cast<float>(sum[c]);
    call.grad_weight[c] = static_cast<float>(along);
    if (!call.batch_statistics) continue;
    shift[c] = static_cast<float>(sum[c] / count);
    slope[c] = static_cast<float>(along * settled.inverse[c] / count);
  }

  const bool stream = streams(call.grad_x, call.pixels, channels);
  const float* grad = from_output ? call.grad_residual : call.grad;
  blocks.backward([&](std::int64_t first, std::int64_t pixels) {
    passes.distribute(grad + first, call.x + first, pixels, channels, settled.normal,
                      from_output ? Masking::kNone : found_anew, shift.data(), slope.data(), stream,
                      call.grad_x + first);
  });
}

}  // namespace fxsim::generic
