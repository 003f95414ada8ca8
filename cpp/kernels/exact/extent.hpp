// How large an operand's integers are, where they are smaller than their format allows: fewer limbs and longer sums.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "kernels/exact/elements.hpp"
#include "kernels/exact/pack_store.hpp"
#include "kernels/exact/scheme.hpp"
#include "kernels/generic/elements.hpp"
#include "kernels/parallel.hpp"
#include "numbers/array.hpp"
#include "numbers/operand.hpp"

namespace fxsim::exact {

// The operand's memory, in an order that leaves as few gaps as can be.
inline StridedArray memory_of(const Operand& o) {
  StridedArray array{.data = o.data, .storage = o.storage, .dims = 4};
  array.shape = {o.pixels.n, o.map_y.size, o.map_x.size, o.taps.c};
  array.strides = {o.stride_n, o.stride_y, o.stride_x, o.stride_c};
  return generic::merged(in_memory_order(array));
}

// Every set bit of any magnitude: v of a value that is not negative, -1 - v of one that is.
template <class T>
std::uint64_t magnitude_pattern(const T* from, std::int64_t count, std::int64_t stride) {
  std::make_unsigned_t<T> seen = 0;
  const auto add = [&](T value) {
    using U = std::make_unsigned_t<T>;
    if constexpr (std::is_signed_v<T>) {
      seen = static_cast<U>(seen | static_cast<U>(value ^ (value >> (8 * sizeof(T) - 1))));
    } else {
      seen = static_cast<U>(seen | value);
    }
  };
  if (stride == 1) {
    for (std::int64_t i = 0; i < count; ++i) add(from[i]);
  } else {
    for (std::int64_t i = 0; i < count; ++i) add(from[i * stride]);
  }
  return seen;
}

// The least p with every value in [-2^p, 2^p), found up to `enough`: once that many are needed, the search ends.
inline int magnitude_bits_used(const Operand& o, int enough) {
  constexpr std::int64_t kPiece = std::int64_t{1} << 15;
  const StridedArray array = memory_of(o);
  const auto inner = static_cast<std::size_t>(array.dims - 1);
  const std::int64_t pieces_a_line = ceil_div(array.shape[inner], kPiece);
  std::int64_t lines = array.size() == 0 ? 0 : 1;
  for (std::size_t d = 0; d < inner; ++d) lines *= array.shape[d];
  const std::int64_t together = std::max<std::int64_t>(kPiece / std::max<std::int64_t>(array.shape[inner], 1), 1);
  std::atomic<std::uint64_t> seen = 0;
  with_integers(o, [&](const auto* data) {
    parallel_for(ceil_div(lines * pieces_a_line, together), [&](std::int64_t task) {
      if (static_cast<int>(std::bit_width(seen.load(std::memory_order_relaxed))) >= enough) return;
      std::uint64_t own = 0;
      const std::int64_t end = std::min((task + 1) * together, lines * pieces_a_line);
      for (std::int64_t piece = task * together; piece < end; ++piece) {
        std::int64_t line = piece / pieces_a_line;
        const std::int64_t first = piece % pieces_a_line * kPiece;
        std::int64_t offset = first * array.strides[inner];
        for (std::size_t d = inner; d-- > 0;) {
          offset += line % array.shape[d] * array.strides[d];
          line /= array.shape[d];
        }
        own |= magnitude_pattern(data + offset, std::min(kPiece, array.shape[inner] - first), array.strides[inner]);
      }
      seen.fetch_or(own, std::memory_order_relaxed);
    });
  });
  return std::min(static_cast<int>(std::bit_width(seen.load())), enough);
}

// The narrowest format of the same sign that holds p bits of magnitude.
inline Format narrowed(const Format& f, int bits) {
  return {.wl = std::max(std::min(bits + (f.is_signed ? 1 : 0), f.wl), 1), .fl = f.fl, .is_signed = f.is_signed};
}

// Takes from the operand's format what its values leave unused, of what `enough` bits would hold.
inline void take_used_bits(Operand& o, int enough) {
  const int bits = o.kept != nullptr && enough == o.format.magnitude_bits()
                       ? o.kept->bits([&] { return magnitude_bits_used(o, enough); })
                       : magnitude_bits_used(o, enough);
  if (bits < enough) o.format = narrowed(o.format, bits);
}

// Takes from the formats what the values leave unused, where that may save limbs or make bytes of words. written:
// whether the image's are there to be looked at.
inline void narrow(const isa::Kernels& kernels, std::int64_t depth, Operand& image, Operand& columns, bool written) {
  constexpr int kByte = 8;
  if (columns.format.wl > kByte) take_used_bits(columns, columns.format.magnitude_bits());
  if (image.format.wl <= kByte || !written) return;
  if (!choose_scheme(kernels, image.format, columns.format, depth).one_limb()) {
    take_used_bits(image, image.format.magnitude_bits());
  } else if (kernels.bytes != nullptr && fits_signed(columns.format, 1)) {
    take_used_bits(image, image.format.is_signed ? kByte : kByte + 1);
  }
}

// The same for a weight gradient, whose columns are gradients: the scheme of what is left.
inline Scheme narrow_outer_scheme(const isa::Kernels& kernels, std::int64_t depth, Operand image, Operand columns,
                                  bool written) {
  constexpr int kByte = 8;
  if (image.format.wl > kByte) take_used_bits(image, image.format.magnitude_bits());
  if (columns.format.wl > kByte && written) take_used_bits(columns, columns.format.magnitude_bits());
  return choose_outer_scheme(kernels, image.format, columns.format, depth);
}

}  // namespace fxsim::exact
