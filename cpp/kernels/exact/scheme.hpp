// How a product's operands are cut into elements so that sums of 32 bits, or those joined in 64, are exact.
#pragma once

#include <cstdint>

#include "kernels/api.hpp"
#include "kernels/exact/elements.hpp"
#include "kernels/isa/isa.hpp"

namespace fxsim::exact {

struct Scheme {
  const isa::Tiles* tiles = nullptr;
  ElementRule image, columns;
  std::int64_t terms = 0;  // that a sum of elements takes within 32 bits, whatever they are

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
  const int image_bits = scheme.image.offset != 0 ? 8 : image.magnitude_bits();
  scheme.terms = generic::steps_in_32_bits(image_bits + columns.magnitude_bits());
  return scheme;
}

// 16-bit elements: one an operand where at least 64 products fit 32 bits or no more than 32 bits matter, else limbs.
inline Scheme word_scheme(const isa::Tiles& tiles, const Format& image, const Format& columns, std::int64_t depth,
                          bool low_32_bits) {
  Scheme scheme;
  scheme.tiles = &tiles;
  scheme.terms = generic::steps_in_32_bits(image.magnitude_bits() + columns.magnitude_bits());
  if (fits_signed(image, 2) && fits_signed(columns, 2) && (low_32_bits || scheme.terms >= 64)) return scheme;
  const generic::Split split = generic::choose_split(image, columns, depth);
  scheme.image.limbs = split.a;
  scheme.columns.limbs = split.b;
  scheme.terms = split.block;
  return scheme;
}

inline Scheme choose_scheme(const isa::Kernels& kernels, const Format& image, const Format& columns, std::int64_t depth,
                            bool low_32_bits) {
  if (bytes_hold(kernels, image, columns)) return byte_scheme(*kernels.bytes, image, columns);
  return word_scheme(*kernels.words, image, columns, depth, low_32_bits);
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
  return word_scheme(*kernels.words, image, columns, depth, false);
}

// Some groups of some runs, whose sum stays within 32 bits.
struct Segment {
  std::int64_t run = 0, runs = 0, group = 0, groups = 0;
};

}  // namespace fxsim::exact
