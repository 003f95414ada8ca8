// How a product's operands are cut into elements so that sums of 32 bits, or those joined in 64, are exact.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/api.hpp"
#include "kernels/exact/elements.hpp"
#include "kernels/exact/passes.hpp"
#include "kernels/isa/isa.hpp"

namespace fxsim::exact {

struct Scheme {
  const isa::Tiles* tiles = nullptr;
  ElementRule image, columns;
  std::int64_t terms = 0;       // that a sum of elements takes within 32 bits, whatever they are
  std::int64_t image_most = 0;  // no element of the image is larger in magnitude
  Passes passes = passes_of_limbs({}, {});

  bool one_limb() const { return passes.count == 1; }
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
  const int image_bits = scheme.image.offset != 0 ? 8 : image.magnitude_bits();
  scheme.image_most = std::int64_t{1} << image_bits;
  scheme.terms = generic::steps_in_32_bits(image_bits + columns.magnitude_bits());
  return scheme;
}

// 16-bit elements, one an operand.
inline bool words_hold(const Format& image, const Format& columns) {
  return fits_signed(image, 2) && fits_signed(columns, 2);
}

inline Scheme whole_word_scheme(const isa::Tiles& tiles, const Format& image, const Format& columns) {
  Scheme scheme;
  scheme.tiles = &tiles;
  scheme.image_most = std::int64_t{1} << image.magnitude_bits();
  scheme.terms = generic::steps_in_32_bits(image.magnitude_bits() + columns.magnitude_bits());
  return scheme;
}

// Balanced limbs, `count` of them of `bits` bits each, for p bits of magnitude.
struct BalancedLimbs {
  ElementRule rule;
  std::int64_t most = 0;  // no element is larger in magnitude

  // The most even limbs: what a carry from below adds takes a bit of the last one.
  static int even_bits(int p, int count) { return (p + count) / count; }

  BalancedLimbs(int p, int count, int bits, bool evaluated) {
    const std::int64_t low = std::int64_t{1} << (bits - 1);
    const std::int64_t last = std::int64_t{1} << std::max(p - bits * (count - 1), 0);
    if (count == 1) {
      most = std::int64_t{1} << p;
      return;
    }
    rule = {.limbs = {count, bits}, .balanced = true, .evaluated = evaluated};
    if (!evaluated) {
      most = std::max(low, last);
    } else {
      most = count == 2 ? low + last : low + 2 * low + 4 * last;
    }
  }
};

// 16-bit elements, as few an operand as leave room for 64 products (or all) whatever they are.
class LimbChoice {
 public:
  LimbChoice(const isa::Tiles& tiles, const Format& image, const Format& columns, std::int64_t depth)
      : image_(image), columns_(columns), wanted_(std::clamp<std::int64_t>(depth, 1, kTerms)) {
    scheme_.tiles = &tiles;
    // Of an image and columns that could change places, the image has more: it is cut while it is in a cache.
    for (int n = 1; n <= kMostLimbs; ++n) {
      for (int m = 1; m <= kMostLimbs; ++m) {
        take({image.magnitude_bits(), m, BalancedLimbs::even_bits(image.magnitude_bits(), m), false},
             {columns.magnitude_bits(), n, BalancedLimbs::even_bits(columns.magnitude_bits(), n), false});
      }
    }
  }

  // Products of values at points too.
  void with_values() {
    const int p = std::max(image_.magnitude_bits(), columns_.magnitude_bits());
    for (int count = 2; count <= kMostLimbs; ++count) {
      const int bits = BalancedLimbs::even_bits(p, count);
      take({image_.magnitude_bits(), count, bits, true}, {columns_.magnitude_bits(), count, bits, true});
    }
  }

  const Scheme& best() const { return scheme_; }

 private:
  static constexpr std::int64_t kTerms = 64;
  static constexpr int kMostLimbs = 3;  // of 11 bits serve 32-bit operands, so there always is a choice

  void take(const BalancedLimbs& image, const BalancedLimbs& columns) {
    const auto fits = [](const BalancedLimbs& limbs, const Format& f) {
      return limbs.rule.limbs.count == 1 ? fits_signed(f, 2) : limbs.most <= INT16_MAX;
    };
    const Passes passes = image.rule.evaluated ? passes_of_values(image.rule.limbs)
                                               : passes_of_limbs(image.rule.limbs, columns.rule.limbs);
    const bool fewer = scheme_.terms == 0 || passes.count < scheme_.passes.count;
    if (!fewer || !fits(image, image_) || !fits(columns, columns_)) return;
    const std::int64_t terms = INT32_MAX / (image.most * columns.most);
    if (terms < wanted_) return;
    scheme_ = {scheme_.tiles, image.rule, columns.rule, terms, image.most, passes};
  }

  Format image_, columns_;
  std::int64_t wanted_;
  Scheme scheme_;
};

inline Scheme limb_scheme(const isa::Tiles& tiles, const Format& image, const Format& columns, std::int64_t depth) {
  LimbChoice choice(tiles, image, columns, depth);
  choice.with_values();
  return choice.best();
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
  return LimbChoice(*kernels.words, image, columns, depth).best();
}

}  // namespace fxsim::exact
