// The passes of batch normalisation in vectors of channels. Additions and multiplications are separate operations and
// every channel is summed alone, so the width of a vector changes no bit. Internal linkage, as lanes.hpp.
#pragma once

#include <cstdint>

#include "kernels/isa/batch_norm_passes.hpp"

namespace fxsim::isa {
namespace {

template <int kWidth>
struct FloatVector {
  using Type [[gnu::vector_size(kWidth * sizeof(float))]] = float;
};
template <>
struct FloatVector<1> {
  using Type = float;
};
template <int kWidth>
using Floats = typename FloatVector<kWidth>::Type;

template <int kWidth>
[[gnu::always_inline]] inline Floats<kWidth> load(const float* from) {
  Floats<kWidth> v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}

template <class V>
[[gnu::always_inline]] inline void store(float* to, const V& v) {
  __builtin_memcpy(to, &v, sizeof v);
}

// Vectors that hold whole lines of the cache, or an aligned part of one, can go past it.
struct NoStream {
  static constexpr int kWidth = 0;
};

template <class Stream, class V>
[[gnu::always_inline]] inline void store_image(float* to, const V& v, bool stream) {
  if constexpr (sizeof(V) == Stream::kWidth * sizeof(float)) {
    if (stream) return Stream::store(to, v);
  }
  store(to, v);
}

// v, but 0 where `gate` is at most 0: a NaN lets through.
template <class V>
[[gnu::always_inline]] inline V gated(const V& v, const V& gate) {
  const V zero{};
  return gate <= zero ? zero : v;
}

// Vectors of parameters, held in registers while pixels pass.
template <int kWidth, int kVectors>
struct Parameters {
  Floats<kWidth> at[kVectors];

  [[gnu::always_inline]] explicit Parameters(const float* from) {
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) at[j] = load<kWidth>(from + j * kWidth);
  }
};

// Calls columns.run<width, vectors>(first channel) so that every channel is met. The last vector may overlap the one
// before, whose results are then computed and written a second time.
template <int kWidth, int kVectors, class Columns>
void for_columns(std::int64_t channels, const Columns& columns, std::int64_t first = 0) {
  if constexpr (kWidth > 1) {
    if (channels < kWidth) return for_columns<kWidth / 2, kVectors>(channels, columns);
  }
  for (; first + kWidth * kVectors <= channels; first += kWidth * kVectors) {
    columns.template run<kWidth, kVectors>(first);
  }
  if constexpr (kVectors > 1) {
    for_columns<kWidth, kVectors / 2>(channels, columns, first);
  } else if (first < channels) {
    columns.template run<kWidth, 1>(channels - kWidth);
  }
}

// Floats by which a pass that only reads asks ahead: a page, where the hardware's own prefetching ends.
inline constexpr std::int64_t kAhead = 1024;

struct SumColumns {
  const float* x;
  std::int64_t pixels, channels;
  float *sums, *squares;

  template <int kWidth, int kVectors>
  void run(std::int64_t first) const {
    using V = Floats<kWidth>;
    const float* from = x + first;
    const Parameters<kWidth, kVectors> origin(from);
    V sum[2][kVectors] = {}, square[2][kVectors] = {};
    const auto add = [&](std::int64_t pixel, int lane) [[gnu::always_inline]] {
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) {
        const float* at = from + pixel * channels + j * kWidth;
        __builtin_prefetch(at + kAhead);
        const V d = load<kWidth>(at) - origin.at[j];
        sum[lane][j] += d;
        square[lane][j] += d * d;
      }
    };
    std::int64_t pixel = 0;
    for (; pixel + 2 <= pixels; pixel += 2) {
      add(pixel, 0);
      add(pixel + 1, 1);
    }
    if (pixel < pixels) add(pixel, 0);
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) {
      store(sums + first + j * kWidth, sum[0][j] + sum[1][j]);
      store(squares + first + j * kWidth, square[0][j] + square[1][j]);
    }
  }
};

template <class Stream, bool kResidual, bool kRelu>
struct NormaliseColumns {
  const float *x, *residual;
  std::int64_t pixels, channels;
  Normal normal;
  bool stream;
  float* y;

  template <int kWidth, int kVectors>
  void run(std::int64_t first) const {
    using V = Floats<kWidth>;
    const Parameters<kWidth, kVectors> mean(normal.mean + first), scale(normal.scale + first),
        bias(normal.bias + first);
    for (std::int64_t at = first; at < pixels * channels; at += channels) {
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) {
        V v = (load<kWidth>(x + at + j * kWidth) - mean.at[j]) * scale.at[j] + bias.at[j];
        if constexpr (kResidual) v += load<kWidth>(residual + at + j * kWidth);
        if constexpr (kRelu) v = gated(v, v);
        store_image<Stream>(y + at + j * kWidth, v, stream);
      }
    }
  }
};

template <class Stream, Masking kMasking>
struct SumGradientColumns {
  const float *grad, *x, *y;
  std::int64_t pixels, channels;
  Normal normal;
  bool stream;
  float *sums, *products, *masked;

  template <int kWidth, int kVectors>
  void run(std::int64_t first) const {
    using V = Floats<kWidth>;
    const Parameters<kWidth, kVectors> mean(normal.mean + first), scale(normal.scale + first),
        bias(normal.bias + first);
    V sum[2][kVectors] = {}, product[2][kVectors] = {};
    const auto add = [&](std::int64_t pixel, int lane) [[gnu::always_inline]] {
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) {
        const std::int64_t at = pixel * channels + first + j * kWidth;
        const V d = load<kWidth>(x + at) - mean.at[j];
        V g = load<kWidth>(grad + at);
        if constexpr (kMasking == Masking::kNormal) g = gated(g, d * scale.at[j] + bias.at[j]);
        if constexpr (kMasking == Masking::kOutput) {
          g = gated(g, load<kWidth>(y + at));
          store_image<Stream>(masked + at, g, stream);
        }
        sum[lane][j] += g;
        product[lane][j] += g * d;
      }
    };
    std::int64_t pixel = 0;
    for (; pixel + 2 <= pixels; pixel += 2) {
      add(pixel, 0);
      add(pixel + 1, 1);
    }
    if (pixel < pixels) add(pixel, 0);
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) {
      store(sums + first + j * kWidth, sum[0][j] + sum[1][j]);
      store(products + first + j * kWidth, product[0][j] + product[1][j]);
    }
  }
};

template <class Stream, bool kMasked>
struct DistributeColumns {
  const float *grad, *x;
  std::int64_t pixels, channels;
  Normal normal;
  const float *shift, *slope;
  bool stream;
  float* grad_x;

  template <int kWidth, int kVectors>
  void run(std::int64_t first) const {
    using V = Floats<kWidth>;
    using Each = Parameters<kWidth, kVectors>;
    const Each mean(normal.mean + first), scale(normal.scale + first), bias(normal.bias + first);
    const Each down(shift + first), along(slope + first);
    for (std::int64_t at = first; at < pixels * channels; at += channels) {
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) {
        const V d = load<kWidth>(x + at + j * kWidth) - mean.at[j];
        V g = load<kWidth>(grad + at + j * kWidth);
        if constexpr (kMasked) g = gated(g, d * scale.at[j] + bias.at[j]);
        const V v = ((g - down.at[j]) - d * along.at[j]) * scale.at[j];
        store_image<Stream>(grad_x + at + j * kWidth, v, stream);
      }
    }
  }
};

// kWidth: floats in a vector. kVectors: of sums of each kind and lane that registers can hold. Stream: how a vector of
// its kWidth is stored past the cache, and how such stores are ended.
template <int kWidth, int kVectors, class Stream = NoStream>
struct VectorPasses {
  static void sum(const float* x, std::int64_t pixels, std::int64_t channels, float* sums, float* squares) {
    for_columns<kWidth, kVectors>(channels, SumColumns{x, pixels, channels, sums, squares});
  }

  static void normalise(const float* x, const float* residual, std::int64_t pixels, std::int64_t channels,
                        Normal normal, bool relu, bool stream, float* y) {
    const auto pass = [&]<bool kResidual, bool kRelu>() {
      for_columns<kWidth, kVectors>(
          channels, NormaliseColumns<Stream, kResidual, kRelu>{x, residual, pixels, channels, normal, stream, y});
    };
    if (residual != nullptr) {
      relu ? pass.template operator()<true, true>() : pass.template operator()<true, false>();
    } else {
      relu ? pass.template operator()<false, true>() : pass.template operator()<false, false>();
    }
    end(stream);
  }

  static void sum_gradients(const float* grad, const float* x, const float* y, std::int64_t pixels,
                            std::int64_t channels, Normal normal, Masking masking, bool stream, float* sums,
                            float* products, float* masked) {
    const auto pass = [&]<Masking kMasking>() {
      for_columns<kWidth, kVectors>(channels, SumGradientColumns<Stream, kMasking>{grad, x, y, pixels, channels, normal,
                                                                                   stream, sums, products, masked});
    };
    switch (masking) {
      case Masking::kNone: pass.template operator()<Masking::kNone>(); break;
      case Masking::kNormal: pass.template operator()<Masking::kNormal>(); break;
      case Masking::kOutput: pass.template operator()<Masking::kOutput>(); break;
    }
    end(stream);
  }

  static void distribute(const float* grad, const float* x, std::int64_t pixels, std::int64_t channels, Normal normal,
                         Masking masking, const float* shift, const float* slope, bool stream, float* grad_x) {
    const auto pass = [&]<bool kMasked>() {
      for_columns<kWidth, kVectors>(channels, DistributeColumns<Stream, kMasked>{grad, x, pixels, channels, normal,
                                                                                 shift, slope, stream, grad_x});
    };
    masking == Masking::kNormal ? pass.template operator()<true>() : pass.template operator()<false>();
    end(stream);
  }

  // Other threads may read what was streamed.
  static void end(bool stream) {
    if constexpr (Stream::kWidth != 0) {
      if (stream) Stream::end();
    }
  }

  static constexpr BatchNormPasses kTable{&sum, &normalise, &sum_gradients, &distribute};
};

}  // namespace
}  // namespace fxsim::isa
