// Walks a strided array in its own C order and copies stretches of it into a contiguous buffer.
#pragma once

#include <algorithm>
#include <cstdint>

#include "numbers/array.hpp"

namespace fxsim::generic {

// The same array with neighbouring dimensions merged where they form one stride; at least one dimension.
inline StridedArray merged(const StridedArray& array) {
  StridedArray out = array;
  out.dims = 0;
  for (int d = 0; d < array.dims; ++d) {
    const auto i = static_cast<std::size_t>(d);
    if (array.shape[i] == 1) continue;
    const auto last = static_cast<std::size_t>(out.dims - 1);
    if (out.dims > 0 && out.strides[last] == array.strides[i] * array.shape[i]) {
      out.shape[last] *= array.shape[i];
      out.strides[last] = array.strides[i];
    } else {
      const auto next = static_cast<std::size_t>(out.dims++);
      out.shape[next] = array.shape[i];
      out.strides[next] = array.strides[i];
    }
  }
  if (out.dims == 0) {
    out.dims = 1;
    out.shape[0] = 1;
    out.strides[0] = 1;
  }
  return out;
}

// Rows of few elements that lie far apart, as the channels of an image do: column by column, for there the elements are
// neighbours.
template <class In, class Out>
void copy_columns(const In* from, std::int64_t rows, std::int64_t row_stride, std::int64_t width, std::int64_t stride,
                  Out* out) {
  for (std::int64_t c = 0; c < width; ++c) {
    for (std::int64_t r = 0; r < rows; ++r) out[r * width + c] = static_cast<Out>(from[r * row_stride + c * stride]);
  }
}

// Elements start .. start + count - 1 of a merged array.
template <class Out>
void copy_elements(const StridedArray& array, std::int64_t start, std::int64_t count, Out* out) {
  constexpr std::int64_t kNarrow = 64;
  with_storage(array.storage, array.data, [&](const auto* data) {
    const auto inner = static_cast<std::size_t>(array.dims - 1);
    const std::int64_t width = array.shape[inner];
    const std::int64_t stride = array.strides[inner];
    std::int64_t done = 0;
    while (done < count) {
      std::int64_t line = (start + done) / width;
      const std::int64_t column = (start + done) % width;
      const std::int64_t first_line = line;
      std::int64_t offset = column * stride;
      for (std::size_t d = inner; d-- > 0;) {
        offset += line % array.shape[d] * array.strides[d];
        line /= array.shape[d];
      }
      const auto* from = data + offset;
      if (inner > 0 && width <= kNarrow && column == 0 && count - done >= width) {
        const std::int64_t height = array.shape[inner - 1];
        const std::int64_t rows = std::min(height - first_line % height, (count - done) / width);
        copy_columns(from, rows, array.strides[inner - 1], width, stride, out + done);
        done += rows * width;
        continue;
      }
      const std::int64_t run = std::min(width - column, count - done);
      if (stride == 1) {
        for (std::int64_t i = 0; i < run; ++i) out[done + i] = static_cast<Out>(from[i]);
      } else {
        for (std::int64_t i = 0; i < run; ++i) out[done + i] = static_cast<Out>(from[i * stride]);
      }
      done += run;
    }
  });
}

}  // namespace fxsim::generic
