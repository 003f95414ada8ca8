// The operand whose pixels the tiles walk, as they want it: a padded copy of a band of one image with channels last, or
// some rows of a matrix. Small enough for the second cache; nothing is unfolded.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/exact/axis.hpp"
#include "kernels/exact/elements.hpp"
#include "kernels/isa/copies.hpp"
#include "numbers/aligned.hpp"
#include "numbers/operand.hpp"

namespace fxsim::exact {

// Sizes of a copy in bytes. A pixel's elements stand together, and pixels stand together without gaps, so that taps
// that are neighbours make one run.
struct ImageLayout {
  Axis y, x;
  std::int64_t channels = 0;
  int element_bytes = 1;
  std::int64_t pixel_bytes = 0;
  std::int64_t row_bytes = 0;

  std::int64_t run_offset(const TapShift& ty, const TapShift& tx) const {
    return (ty.shift - y.lowest) * row_bytes + (tx.shift - x.lowest) * pixel_bytes;
  }
};

class Image {
 public:
  // The last group of a run may reach past it, into zeros or into pixels that meet zero columns.
  static constexpr std::int64_t kSlack = 64;

  // Pixel rows j .. j + rows - 1 (numbers within a class) of image n. copies: those of the tiles that will read it.
  void fill(const Operand& o, const ImageLayout& layout, const ElementRule& rule, const isa::Copies* copies,
            std::int64_t n, std::int64_t j, std::int64_t rows) {
    const std::int64_t extent = layout.y.extent(rows);
    reserve(extent * layout.row_bytes, rule.elements());
    const std::int64_t first = j * layout.y.mul + layout.y.lowest;
    with_element(layout.element_bytes, [&](auto zero) {
      using T = decltype(zero);
      for (int limb = 0; limb < rule.limbs.count; ++limb) {
        for (std::int64_t r = 0; r < extent; ++r) {
          T* row = reinterpret_cast<T*>(data(limb) + r * layout.row_bytes);
          fill_row(o, layout, rule, copies, n, first + r, limb, row);
        }
      }
      constexpr auto kSize = static_cast<std::int64_t>(sizeof(T));
      rule.evaluate(reinterpret_cast<T*>(data(0)), plane_ / kSize, extent * layout.row_bytes / kSize);
    });
  }

  // Rows row0 .. row0 + rows - 1 of a matrix, pixel_bytes apart.
  void fill_matrix(const Operand& o, const ImageLayout& layout, const ElementRule& rule, const isa::Copies* copies,
                   std::int64_t row0, std::int64_t rows) {
    reserve(rows * layout.pixel_bytes, rule.elements());
    gathered_.resize(static_cast<std::size_t>(layout.channels));
    with_element(layout.element_bytes, [&](auto zero) {
      using T = decltype(zero);
      for (std::int64_t r = 0; r < rows; ++r) {
        const bool direct = is_matrix(o);
        if (!direct) generic::gather<std::int64_t>(o, row0 + r, 0, layout.channels, 0, gathered_.data());
        for (int limb = 0; limb < rule.limbs.count; ++limb) {
          T* row = reinterpret_cast<T*>(data(limb) + r * layout.pixel_bytes);
          if (direct) {
            with_integers(o, [&](const auto* from) {
              apply(from + (row0 + r) * o.stride_n, o.stride_c, layout.channels, rule, copies, limb, row);
            });
          } else {
            rule.apply(gathered_.data(), 1, layout.channels, limb, row);
          }
        }
        T* limbs = reinterpret_cast<T*>(data(0) + r * layout.pixel_bytes);
        rule.evaluate(limbs, plane_ / static_cast<std::int64_t>(sizeof(T)), layout.channels);
      }
    });
  }

  const std::byte* data(int limb) const { return bytes_.data() + limb * plane_; }

 private:
  std::byte* data(int limb) { return bytes_.data() + limb * plane_; }

  void reserve(std::int64_t plane, int limbs) {
    plane_ = ceil_div(plane + kSlack, 64) * 64;
    const auto wanted = static_cast<std::size_t>(plane_ * limbs);
    if (bytes_.size() < wanted) bytes_.resize(wanted);
  }

  template <class T>
  void fill_row(const Operand& o, const ImageLayout& layout, const ElementRule& rule, const isa::Copies* copies,
                std::int64_t n, std::int64_t at_y, int limb, T* row) {
    const auto pad = static_cast<T>(rule.offset);
    const std::int64_t channels = layout.channels;
    const std::int64_t length = layout.row_bytes / layout.element_bytes;
    if (at_y < 0 || at_y >= layout.y.size) {
      std::fill_n(row, length, pad);
      return;
    }
    const std::int64_t pixels = length / channels;
    const std::int64_t left = std::clamp<std::int64_t>(-layout.x.lowest, 0, pixels);
    const std::int64_t inside = std::clamp<std::int64_t>(layout.x.size - layout.x.lowest - left, 0, pixels - left);
    std::fill_n(row, left * channels, pad);
    std::fill_n(row + (left + inside) * channels, (pixels - left - inside) * channels, pad);
    with_integers(o, [&](const auto* from) {
      const auto* line = from + n * o.stride_n + at_y * o.stride_y + (layout.x.lowest + left) * o.stride_x;
      T* to = row + left * channels;
      if (o.stride_c == 1 && o.stride_x == channels) {
        apply(line, 1, inside * channels, rule, copies, limb, to);
        return;
      }
      for (std::int64_t x = 0; x < inside; ++x) {
        apply(line + x * o.stride_x, o.stride_c, channels, rule, copies, limb, to + x * channels);
      }
    });
  }

  template <class T, class From>
  static void apply(const From* from, std::int64_t step, std::int64_t count, const ElementRule& rule,
                    const isa::Copies* copies, int limb, T* to) {
    if constexpr (sizeof(From) == 1 && sizeof(T) == 1) {
      if (copies != nullptr && step == 1 && rule.flips_bytes()) {
        copies->bytes(reinterpret_cast<const std::uint8_t*>(from), count, rule.flip(), to);
        return;
      }
    }
    rule.apply(from, step, count, limb, to);
  }

  LineVector<std::byte> bytes_;
  std::vector<std::int64_t> gathered_;
  std::int64_t plane_ = 0;
};

}  // namespace fxsim::exact
