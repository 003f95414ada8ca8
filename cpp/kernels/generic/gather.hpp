// Copies a stretch of one operand row, k0 <= k < k1, into consecutive integers.
#pragma once

#include <algorithm>
#include <cstdint>

#include "numbers/operand.hpp"

namespace fxsim::generic {

// Row and k are pixel and tap: for each (ty, tx) a run of channels.
template <class T, class Out>
void gather_taps(const Operand& o, const T* data, const Pixel& pixel, std::int64_t k0, std::int64_t k1, Out pad,
                 Out* out) {
  const T* image = data + pixel.n * o.stride_n;
  std::int64_t k = k0;
  while (k < k1) {
    const Tap tap = tap_at(o, k);
    const std::int64_t run = std::min(o.taps.c - tap.c, k1 - k);
    const std::int64_t y = o.map_y.position(pixel.y, tap.y);
    const std::int64_t x = o.map_x.position(pixel.x, tap.x);
    if (y == AxisMap::kOutside || x == AxisMap::kOutside) {
      std::fill_n(out, run, pad);
    } else {
      const T* from = image + y * o.stride_y + x * o.stride_x + tap.c * o.stride_c;
      if (o.stride_c == 1) {
        for (std::int64_t c = 0; c < run; ++c) out[c] = static_cast<Out>(from[c]);
      } else {
        for (std::int64_t c = 0; c < run; ++c) out[c] = static_cast<Out>(from[c * o.stride_c]);
      }
    }
    out += run;
    k += run;
  }
}

// The same with channels slowest: for each (c, ty) a run of tx.
template <class T, class Out>
void gather_channel_major(const Operand& o, const T* data, const Pixel& pixel, std::int64_t k0, std::int64_t k1,
                          Out pad, Out* out) {
  for (std::int64_t k = k0; k < k1; ++k) {
    const std::int64_t at = element_offset(o, pixel, tap_at(o, k));
    *out++ = at == AxisMap::kOutside ? pad : static_cast<Out>(data[at]);
  }
}

// Row is a tap, k runs over pixels: for each (n, py) a run of px.
template <class T, class Out>
void gather_pixels(const Operand& o, const T* data, const Tap& tap, std::int64_t k0, std::int64_t k1, Out pad,
                   Out* out) {
  const AxisMap& mx = o.map_x;
  std::int64_t k = k0;
  while (k < k1) {
    const Pixel pixel = pixel_at(o, k);
    const std::int64_t run = std::min(o.pixels.x - pixel.x, k1 - k);
    const std::int64_t y = o.map_y.position(pixel.y, tap.y);
    if (y == AxisMap::kOutside) {
      std::fill_n(out, run, pad);
    } else {
      const T* line = data + pixel.n * o.stride_n + y * o.stride_y + tap.c * o.stride_c;
      for (std::int64_t i = 0; i < run; ++i) {
        const std::int64_t x = mx.position(pixel.x + i, tap.x);
        out[i] = x == AxisMap::kOutside ? pad : static_cast<Out>(line[x * o.stride_x]);
      }
    }
    out += run;
    k += run;
  }
}

template <class Out>
void gather(const Operand& o, std::int64_t row, std::int64_t k0, std::int64_t k1, Out pad, Out* out) {
  with_storage(o.storage, o.data, [&](const auto* data) {
    if (o.transposed) {
      gather_pixels(o, data, tap_at(o, row), k0, k1, pad, out);
    } else if (o.channel_major) {
      gather_channel_major(o, data, pixel_at(o, row), k0, k1, pad, out);
    } else {
      gather_taps(o, data, pixel_at(o, row), k0, k1, pad, out);
    }
  });
}

}  // namespace fxsim::generic
