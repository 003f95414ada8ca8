// One operand of a product, as the matrix (rows x k) that the sequences of a GEMM run over.
//
// A matrix, the im2col view of an image, the dilated view of an output gradient and a weight are all the same
// thing: pixels (n, py, px) against taps (ty, tx, c), with the place of each pair found by one affine rule a
// spatial axis. Nothing is copied; a pair that falls on padding or between strides is a structural zero.
#pragma once

#include <cstdint>
#include <limits>

#include "numbers/array.hpp"
#include "numbers/format.hpp"

namespace fxsim {

namespace exact {
class PackStore;
}

// position * div = pixel * pixel_mul + tap * tap_mul + offset; a structural zero unless 0 <= position < size.
struct AxisMap {
  std::int64_t pixel_mul = 0;
  std::int64_t tap_mul = 0;
  std::int64_t offset = 0;
  std::int64_t div = 1;
  std::int64_t size = 1;

  static constexpr std::int64_t kOutside = std::numeric_limits<std::int64_t>::min();

  constexpr std::int64_t position(std::int64_t pixel, std::int64_t tap) const {
    const std::int64_t scaled = pixel * pixel_mul + tap * tap_mul + offset;
    if (scaled < 0 || scaled % div != 0) return kOutside;
    const std::int64_t at = scaled / div;
    return at < size ? at : kOutside;
  }
};

struct Pixels {
  std::int64_t n = 1, y = 1, x = 1;
  constexpr std::int64_t count() const { return n * y * x; }
};

struct Taps {
  std::int64_t y = 1, x = 1, c = 1;
  constexpr std::int64_t count() const { return y * x * c; }
};

struct Operand {
  const void* data = nullptr;
  Storage storage = Storage::kInt64;
  Format format;
  Pixels pixels;
  Taps taps;
  std::int64_t stride_n = 0, stride_y = 0, stride_x = 0, stride_c = 0;
  AxisMap map_y, map_x;
  bool channel_major = false;        // taps run (c, ty, tx) instead of (ty, tx, c)
  bool transposed = false;           // rows are taps and k runs over the pixels
  exact::PackStore* kept = nullptr;  // where kernels keep what they pack of words that stay as they are

  constexpr std::int64_t rows() const { return transposed ? taps.count() : pixels.count(); }
  constexpr std::int64_t depth() const { return transposed ? pixels.count() : taps.count(); }
};

struct Pixel {
  std::int64_t n, y, x;
};
struct Tap {
  std::int64_t y, x, c;
};

constexpr Pixel pixel_at(const Operand& o, std::int64_t i) {
  return {i / (o.pixels.x * o.pixels.y), i / o.pixels.x % o.pixels.y, i % o.pixels.x};
}

constexpr Tap tap_at(const Operand& o, std::int64_t i) {
  if (o.channel_major) return {i / o.taps.x % o.taps.y, i % o.taps.x, i / (o.taps.x * o.taps.y)};
  return {i / (o.taps.c * o.taps.x), i / o.taps.c % o.taps.x, i % o.taps.c};
}

// The offset of element (row, k) in `data`, or AxisMap::kOutside for a structural zero.
constexpr std::int64_t element_offset(const Operand& o, const Pixel& pixel, const Tap& tap) {
  const std::int64_t y = o.map_y.position(pixel.y, tap.y);
  const std::int64_t x = o.map_x.position(pixel.x, tap.x);
  if (y == AxisMap::kOutside || x == AxisMap::kOutside) return AxisMap::kOutside;
  return pixel.n * o.stride_n + y * o.stride_y + x * o.stride_x + tap.c * o.stride_c;
}

// Whether row i and k are element i * stride_n + k * stride_c, with no structural zero among them.
constexpr bool is_matrix(const Operand& o) {
  return !o.transposed && o.pixels.y * o.pixels.x == 1 && o.taps.y * o.taps.x == 1 && o.map_y.position(0, 0) == 0 &&
         o.map_x.position(0, 0) == 0;
}

}  // namespace fxsim
