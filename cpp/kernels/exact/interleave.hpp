// Images side by side: groups of four bytes hold the same element of two or four images, so that a sum over the batch
// is what a multiply-add sums by itself. Shifts, strides and padding are then mere distances between pixels.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "kernels/exact/elements.hpp"
#include "kernels/exact/image.hpp"
#include "kernels/isa/copies.hpp"
#include "numbers/aligned.hpp"

namespace fxsim::exact {

class Interleaved {
 public:
  static constexpr std::int64_t kSlack = 256;  // vectors are read whole
  static constexpr bool kLittleEndian = std::endian::native == std::endian::little;

  // Rows j .. j + rows - 1 of images n .. n + 3 (or n + 1), limbs first .. first + limbs - 1. Every limb has
  // `limb_groups` groups a pixel, of which the first layout.channels are filled; images that are not there are padding.
  // copies: those of the tiles that will read it.
  void fill(const Operand& o, const ImageLayout& layout, const ElementRule& rule, const isa::Copies* copies,
            int first_limb, int limbs, std::int64_t limb_groups, std::int64_t n, std::int64_t j, std::int64_t rows) {
    const std::int64_t extent = layout.y.extent(rows);
    first_limb_ = first_limb;
    limbs_ = limbs;
    limb_groups_ = limb_groups;
    copies_ = copies;
    pixel_bytes_ = limbs * limb_groups * 4;
    row_bytes_ = layout.x.extent(layout.x.most_pixels) * pixel_bytes_;
    const auto wanted = static_cast<std::size_t>(extent * row_bytes_ + kSlack);
    if (bytes_.size() < wanted) bytes_.resize(wanted);
    const std::int64_t first = j * layout.y.mul + layout.y.lowest;
    with_element(layout.element_bytes, [&](auto zero) {
      using T = decltype(zero);
      with_integers(o, [&](const auto* from) {
        for (std::int64_t r = 0; r < extent; ++r) {
          fill_row<T>(o, layout, rule, n, first + r, from, bytes_.data() + r * row_bytes_);
        }
      });
    });
  }

  const std::byte* data() const { return bytes_.data(); }
  std::int64_t pixel_bytes() const { return pixel_bytes_; }
  std::int64_t row_bytes() const { return row_bytes_; }

 private:
  template <class T, class From>
  void fill_row(const Operand& o, const ImageLayout& layout, const ElementRule& rule, std::int64_t n, std::int64_t at_y,
                const From* data, std::byte* to) {
    constexpr std::int64_t kImages = 4 / sizeof(T);
    const std::int64_t pixels = row_bytes_ / pixel_bytes_;
    const bool padding = at_y < 0 || at_y >= layout.y.size;
    const std::int64_t left = padding ? pixels : std::clamp<std::int64_t>(-layout.x.lowest, 0, pixels);
    const std::int64_t inside = std::clamp<std::int64_t>(layout.x.size - layout.x.lowest - left, 0, pixels - left);
    const bool two_bytes = inside > 0 && splits_words<T, From>(rule) && n + kImages <= o.pixels.n && o.stride_c == 1;
    for (int limb = first_limb_; limb < first_limb_ + limbs_; ++limb) {
      const auto pad = static_cast<T>(rule.stored_zero(limb));
      T* const plane = reinterpret_cast<T*>(to) + (limb - first_limb_) * limb_groups_ * kImages;
      const std::int64_t step = pixel_bytes_ / static_cast<std::int64_t>(sizeof(T));
      for (std::int64_t x = 0; x < pixels; ++x) {
        if (x == left && !(two_bytes && limb_groups_ != layout.channels)) x += inside;
        if (x < pixels) std::fill_n(plane + x * step, limb_groups_ * kImages, pad);
      }
      if (two_bytes) continue;
      const From* image[kImages];
      bool all = true;
      for (std::int64_t q = 0; q < kImages; ++q) {
        all = all && n + q < o.pixels.n;
        image[q] = data + (n + q) * o.stride_n + at_y * o.stride_y + (layout.x.lowest + left) * o.stride_x;
      }
      const bool one_run =
          o.stride_c == 1 && o.stride_x == layout.channels && limbs_ == 1 && limb_groups_ == layout.channels;
      const std::int64_t runs = one_run ? std::min<std::int64_t>(inside, 1) : inside;
      const std::int64_t length = one_run ? inside * layout.channels : layout.channels;
      for (std::int64_t x = 0; x < runs; ++x) {
        T* out = plane + (left + x) * step;
        if (!all || limb_groups_ != layout.channels) {
          std::fill_n(out, (one_run ? inside : 1) * limb_groups_ * kImages, pad);
        }
        if (all && joins_bytes<T, From>(rule) && o.stride_c == 1) {
          copies_->join(reinterpret_cast<const std::uint8_t*>(image[0] + x * o.stride_x), o.stride_n, length,
                        rule.flip(), reinterpret_cast<std::uint32_t*>(out));
          continue;
        }
        rule.template visit<T>(limb, [&](auto element) {
          for (std::int64_t q = 0; q < kImages && !all; ++q) {
            if (n + q >= o.pixels.n) break;
            const From* from = image[q] + x * o.stride_x;
            for (std::int64_t i = 0; i < length; ++i) out[i * kImages + q] = element(from[i * o.stride_c]);
          }
          if (all) merge<kImages>(image, x * o.stride_x, o.stride_c, length, out, element);
        });
      }
    }
    if constexpr (std::is_same_v<From, std::int16_t> && sizeof(T) == 1) {
      const From* line = data + n * o.stride_n + at_y * o.stride_y + (layout.x.lowest + left) * o.stride_x;
      const std::int64_t together = o.stride_x == layout.channels ? inside : 1;  // pixels without a gap
      for (std::int64_t x = 0; two_bytes && x < inside; x += together) {
        auto* low = reinterpret_cast<std::uint32_t*>(to + (left + x) * pixel_bytes_);
        copies_->split(line + x * o.stride_x, o.stride_n, layout.channels, together, low, low + limb_groups_,
                       pixel_bytes_ / 4);
      }
    }
  }

  // Whether groups are four bytes as they are, or with their first bit changed.
  template <class T, class From>
  bool joins_bytes(const ElementRule& rule) const {
    return sizeof(From) == 1 && sizeof(T) == 1 && copies_ != nullptr && kLittleEndian && rule.flips_bytes();
  }

  // Whether both limbs are written at once: the bytes of a word, the lower one moved to where a signed byte holds it.
  template <class T, class From>
  bool splits_words(const ElementRule& rule) const {
    return std::is_same_v<From, std::int16_t> && sizeof(T) == 1 && copies_ != nullptr && kLittleEndian && limbs_ == 2 &&
           first_limb_ == 0 && rule.limbs.count == 2 && rule.limbs.bits == 8 && rule.offset == 0 &&
           rule.low_offset == -128;
  }

  template <std::int64_t kImages, class T, class From, class F>
  static void merge(const From* const* image, std::int64_t offset, std::int64_t step, std::int64_t count,
                    T* __restrict out, const F element) {
    const From* __restrict first = image[0] + offset;
    const From* __restrict second = image[1] + offset;
    if constexpr (kImages == 2) {
      if (step == 1) {
        for (std::int64_t i = 0; i < count; ++i) {
          out[2 * i] = element(first[i]);
          out[2 * i + 1] = element(second[i]);
        }
        return;
      }
    } else {
      const From* __restrict third = image[2] + offset;
      const From* __restrict fourth = image[3] + offset;
      if (step == 1) {
        for (std::int64_t i = 0; i < count; ++i) {
          out[4 * i] = element(first[i]);
          out[4 * i + 1] = element(second[i]);
          out[4 * i + 2] = element(third[i]);
          out[4 * i + 3] = element(fourth[i]);
        }
        return;
      }
    }
    for (std::int64_t i = 0; i < count; ++i) {
      for (std::int64_t q = 0; q < kImages; ++q) out[i * kImages + q] = element(image[q][offset + i * step]);
    }
  }

  LineVector<std::byte> bytes_;
  std::int64_t pixel_bytes_ = 0, row_bytes_ = 0, limb_groups_ = 0;
  int first_limb_ = 0, limbs_ = 1;
  const isa::Copies* copies_ = nullptr;
};

}  // namespace fxsim::exact
