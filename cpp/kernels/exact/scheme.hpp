// How a product's operands are cut into elements so that sums of 32 bits, or those joined in 64, are exact.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/api.hpp"
#include "kernels/exact/elements.hpp"
#include "kernels/isa/isa.hpp"

namespace fxsim::exact {

struct Scheme {
  const isa::Tiles* tiles = nullptr;
  ElementRule image, columns;
  std::int64_t terms = 0;  // that a sum of elements takes within 32 bits, whatever they are
  int image_bits = 0;      // every element of the image is within [-2^image_bits, 2^image_bits]

  bool one_limb() const { return image.limbs.count * columns.limbs.count == 1; }
};

// Signed elements of `bytes` bytes hold the format.
inline bool fits_signed(const Format& f, int bytes) { return f.magnitude_bits() <= 8 * bytes - 1; }

// The modulus of the result divides 2^32: a register that wraps, and rounds nothing on the way.
inline bool low_32_bits_decide(const GemmCall& call) {
  const Accumulator& acc = call.accumulator;
  if (!acc.inner || !acc.inner->wraps || call.count) return false;
  const Format& f = acc.inner->format;
  const int finer = f.fl - call.a.format.fl - call.b.format.fl;
  return finer >= 0 && f.wl - finer <= 32;
}

// 8-bit elements: an image that is wanted unsigned (or signed) is moved by 128, which costs 128 times a column's sum.
// 65,535 products of 8 and 7 bits of magnitude stay within 32 bits.
inline bool bytes_hold(const isa::Kernels& kernels, const Format& image, const Format& columns) {
  return kernels.bytes != nullptr && image.wl <= 8 && fits_signed(columns, 1);
}

inline Scheme byte_scheme(const isa::Tiles& tiles, const Format& image, const Format& columns) {
  Scheme scheme;
  scheme.tiles = &tiles;
  if (tiles.unsigned_image && image.is_signed) scheme.image.offset = 128;
  if (!tiles.unsigned_image && !fits_signed(image, 1)) scheme.image.offset = -128;
  scheme.image_bits = scheme.image.offset != 0 ? 8 : image.magnitude_bits();
  scheme.terms = generic::steps_in_32_bits(scheme.image_bits + columns.magnitude_bits());
  return scheme;
}

// 16-bit elements, one an operand.
inline bool words_hold(const Format& image, const Format& columns) {
  return fits_signed(image, 2) && fits_signed(columns, 2);
}

inline Scheme whole_word_scheme(const isa::Tiles& tiles, const Format& image, const Format& columns) {
  Scheme scheme;
  scheme.tiles = &tiles;
  scheme.image_bits = image.magnitude_bits();
  scheme.terms = generic::steps_in_32_bits(image.magnitude_bits() + columns.magnitude_bits());
  return scheme;
}

// Balanced limbs of a format, `count` of them, as small as they can be: p bits of magnitude and what a carry from below
// adds take the fewest bits of each if they are shared out evenly.
struct BalancedLimbs {
  ElementRule rule;
  int magnitude_bits = 0;  // of the largest limb

  BalancedLimbs(const Format& f, int count) {
    const int bits = f.magnitude_bits();
    magnitude_bits = bits;
    if (count == 1) return;
    rule = {.limbs = {count, std::max((bits + count) / count, 1)}, .balanced = true};
    magnitude_bits = std::max(rule.limbs.bits - 1, bits - rule.limbs.shift(count - 1));
  }

  // In 16 bits; the last of several limbs may be 2^magnitude_bits.
  bool fit(const Format& f) const { return rule.balanced ? magnitude_bits <= 14 : fits_signed(f, 2); }
};

// 16-bit elements, as few an operand as leave room for 64 products (or all) whatever they are. Of an image and columns
// that could change places, the image has more: it is cut while it is in a cache.
inline Scheme limb_scheme(const isa::Tiles& tiles, const Format& image, const Format& columns, std::int64_t depth) {
  constexpr std::int64_t kTerms = 64;
  constexpr int kMostLimbs = 3;  // of 11 bits serve 32-bit operands, so there always is a choice
  const std::int64_t wanted = std::clamp<std::int64_t>(depth, 1, kTerms);
  Scheme scheme;
  int fewest = kMostLimbs * kMostLimbs + 1;
  for (int n = 1; n <= kMostLimbs; ++n) {
    for (int m = 1; m <= kMostLimbs; ++m) {
      const BalancedLimbs of_columns(columns, n), of_image(image, m);
      const std::int64_t terms = generic::steps_in_32_bits(of_image.magnitude_bits + of_columns.magnitude_bits);
      if (n * m >= fewest || terms < wanted || !of_columns.fit(columns) || !of_image.fit(image)) continue;
      fewest = n * m;
      scheme = {&tiles, of_image.rule, of_columns.rule, terms, of_image.magnitude_bits};
    }
  }
  return scheme;
}

// What is tried first: elements that hold a value each. Where sums of words are too short, limbs follow.
inline Scheme choose_scheme(const isa::Kernels& kernels, const Format& image, const Format& columns,
                            std::int64_t depth) {
  if (bytes_hold(kernels, image, columns)) return byte_scheme(*kernels.bytes, image, columns);
  if (words_hold(image, columns)) return whole_word_scheme(*kernels.words, image, columns);
  return limb_scheme(*kernels.words, image, columns, depth);
}

// The product of a wgrad, whose columns are gradients: 8-bit images meet them as bytes up to 16 bits, in two limbs of
// which the lower one is moved to where a signed byte holds it.
inline Scheme choose_outer_scheme(const isa::Kernels& kernels, const Format& image, const Format& columns,
                                  std::int64_t depth) {
  if (bytes_hold(kernels, image, columns)) return byte_scheme(*kernels.bytes, image, columns);
  const Format high{8, 0, true};
  if (bytes_hold(kernels, image, high) && fits_signed(columns, 2)) {
    Scheme scheme = byte_scheme(*kernels.bytes, image, high);
    scheme.columns = {.limbs = {2, 8}, .offset = 0, .low_offset = -128};
    return scheme;
  }
  const Scheme whole = whole_word_scheme(*kernels.words, image, columns);
  if (words_hold(image, columns) && whole.terms >= 64) return whole;
  return limb_scheme(*kernels.words, image, columns, depth);
}

}  // namespace fxsim::exact
