// Zeros and structural zeros of an operand, per k, from one pass over its elements.
//
// Every element stands in many places of the matrix, so they are not visited one by one: what the places share is
// added up first. Where k is a tap, that is the images; where k is a pixel, the channels.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/api.hpp"

namespace fxsim {
namespace {

// The positions that the pixels of one axis reach through one tap, structural zeros marked.
std::vector<std::int64_t> landings(const AxisMap& map, std::int64_t pixels, std::int64_t tap) {
  std::vector<std::int64_t> found(static_cast<std::size_t>(pixels));
  for (std::int64_t p = 0; p < pixels; ++p) found[static_cast<std::size_t>(p)] = map.position(p, tap);
  return found;
}

std::int64_t inside(const std::vector<std::int64_t>& landed) {
  return static_cast<std::int64_t>(landed.size()) - std::count(landed.begin(), landed.end(), AxisMap::kOutside);
}

// k is a tap: the non-zeros of all images are added, then those of the pixels that see the tap.
template <class T>
void count_taps(const Operand& o, const T* data, std::int64_t* structural, std::int64_t* nonzero) {
  const std::int64_t channels = o.taps.c;
  const auto size = static_cast<std::size_t>(o.map_y.size * o.map_x.size * channels);
  std::vector<std::int64_t> images(size, 0);
  for (std::int64_t n = 0; n < o.pixels.n; ++n) {
    std::int64_t* sum = images.data();
    for (std::int64_t y = 0; y < o.map_y.size; ++y) {
      for (std::int64_t x = 0; x < o.map_x.size; ++x) {
        const T* from = data + n * o.stride_n + y * o.stride_y + x * o.stride_x;
        for (std::int64_t c = 0; c < channels; ++c) sum[c] += from[c * o.stride_c] != 0;
        sum += channels;
      }
    }
  }
  const std::int64_t step = o.channel_major ? o.taps.y * o.taps.x : 1;  // from one channel's k to the next
  for (std::int64_t ty = 0; ty < o.taps.y; ++ty) {
    const auto ys = landings(o.map_y, o.pixels.y, ty);
    for (std::int64_t tx = 0; tx < o.taps.x; ++tx) {
      const auto xs = landings(o.map_x, o.pixels.x, tx);
      const std::int64_t first = (ty * o.taps.x + tx) * (o.channel_major ? 1 : channels);
      const std::int64_t outside = o.pixels.count() - o.pixels.n * inside(ys) * inside(xs);
      for (std::int64_t c = 0; c < channels; ++c) structural[first + c * step] = outside;
      for (const std::int64_t y : ys) {
        if (y == AxisMap::kOutside) continue;
        for (const std::int64_t x : xs) {
          if (x == AxisMap::kOutside) continue;
          const std::int64_t* sum = images.data() + (y * o.map_x.size + x) * channels;
          for (std::int64_t c = 0; c < channels; ++c) nonzero[first + c * step] += sum[c];
        }
      }
    }
  }
}

// k is a pixel: the non-zeros of all channels are added, then those of the taps that the pixel sees.
template <class T>
void count_pixels(const Operand& o, const T* data, std::int64_t* structural, std::int64_t* nonzero) {
  const std::int64_t width = o.map_x.size;
  std::vector<std::int64_t> channels(static_cast<std::size_t>(o.map_y.size * width));
  const std::int64_t per_image = o.pixels.y * o.pixels.x;
  for (std::int64_t n = 0; n < o.pixels.n; ++n) {
    for (std::int64_t y = 0; y < o.map_y.size; ++y) {
      for (std::int64_t x = 0; x < width; ++x) {
        const T* from = data + n * o.stride_n + y * o.stride_y + x * o.stride_x;
        std::int64_t sum = 0;
        for (std::int64_t c = 0; c < o.taps.c; ++c) sum += from[c * o.stride_c] != 0;
        channels[static_cast<std::size_t>(y * width + x)] = sum;
      }
    }
    for (std::int64_t ty = 0; ty < o.taps.y; ++ty) {
      const auto ys = landings(o.map_y, o.pixels.y, ty);
      for (std::int64_t tx = 0; tx < o.taps.x; ++tx) {
        const auto xs = landings(o.map_x, o.pixels.x, tx);
        std::int64_t k = n * per_image;
        for (const std::int64_t y : ys) {
          for (const std::int64_t x : xs) {
            if (y == AxisMap::kOutside || x == AxisMap::kOutside) {
              structural[k] += o.taps.c;
            } else {
              nonzero[k] += channels[static_cast<std::size_t>(y * width + x)];
            }
            ++k;
          }
        }
      }
    }
  }
}

}  // namespace

void k_counts(const Operand& operand, std::int64_t* structural, std::int64_t* nonzero) {
  std::fill_n(structural, operand.depth(), 0);
  std::fill_n(nonzero, operand.depth(), 0);
  with_storage(operand.storage, operand.data, [&](const auto* data) {
    if (operand.transposed) {
      count_pixels(operand, data, structural, nonzero);
    } else {
      count_taps(operand, data, structural, nonzero);
    }
  });
}

}  // namespace fxsim
