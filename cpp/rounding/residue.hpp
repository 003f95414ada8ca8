// What rounding may ask of a number: its floor, and how far above it the number lies.
//
// With s the exact real to be rounded and d = s - floor(s), `top` holds the first 64 bits of d and `sticky` whether
// any bit follows. No rounding asks for more: ties need one bit and the rest, stochastic rounding at most 32 bits,
// the one after them, and the rest.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

#include "numbers/integers.hpp"
#include "numbers/wide.hpp"

namespace fxsim {

// An integer of any size, as far as a format of at most 64 bits can tell: its value mod 2^64 read as signed, and how
// many times 2^64 it lies beyond that (0: `low` is the value itself), cut to -2 ... 2.
struct Integer {
  std::int64_t low = 0;
  int beyond = 0;

  [[gnu::always_inline]] constexpr bool negative() const { return beyond != 0 ? beyond < 0 : low < 0; }
  [[gnu::always_inline]] constexpr bool is_zero() const { return (beyond == 0) & (low == 0); }

  // This number, or the next one. Without branches on `up`, which is as good as random.
  [[gnu::always_inline]] constexpr Integer stepped(std::uint64_t up) const {
    const auto bits = static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + up);
    if (up != 0 && low == std::numeric_limits<std::int64_t>::max()) [[unlikely]]
      return {bits, beyond + 1};
    return {bits, beyond};
  }
};

[[gnu::always_inline]] constexpr std::int64_t low_word(const Integer& value) { return value.low; }
[[gnu::always_inline]] constexpr std::int32_t low_word(std::int32_t value) { return value; }

// Yes and no are 1 and 0 of the width of the fraction, which lets compilers compute with them in vector lanes.
template <class Floor, class WordOf>
struct ResidueIn {
  using Word = WordOf;
  static constexpr int kBits = static_cast<int>(8 * sizeof(Word));

  Floor floor{};
  Word top = 0;
  Word sticky = 0;
  Word negative = 0;

  [[gnu::always_inline]] constexpr Word off_grid() const { return (top | sticky) != 0 ? 1 : 0; }
  [[gnu::always_inline]] constexpr Word half() const { return top >> (kBits - 1); }                   // d >= 1/2
  [[gnu::always_inline]] constexpr Word off_tie() const { return (top << 1 | sticky) != 0 ? 1 : 0; }  // d not 0, 1/2
  [[gnu::always_inline]] constexpr Word odd() const { return static_cast<Word>(low_word(floor)) & 1; }
};

using Residue = ResidueIn<Integer, std::uint64_t>;

// For numbers known to be small: the floor fits 32 bits and no more than 32 bits of the fraction are kept apart.
using Residue32 = ResidueIn<std::int32_t, std::uint32_t>;

constexpr Integer to_integer(std::int64_t value) { return {value, 0}; }

constexpr Integer to_integer(int128 value) {
  const int128 windows = (value + (int128{1} << 63)) >> 64;
  const int128 cut = windows < -2 ? -2 : windows > 2 ? 2 : windows;
  return {static_cast<std::int64_t>(value), static_cast<int>(cut)};
}

constexpr Integer to_integer(const Wide& value) {
  const Wide windows = (value + (Wide{1} << 63)) >> 64;
  const int cut = windows < Wide{-2} ? -2 : windows > Wide{2} ? 2 : static_cast<int>(windows.low64());
  return {static_cast<std::int64_t>(value.low64()), cut};
}

constexpr std::uint64_t low64(std::int64_t value) { return static_cast<std::uint64_t>(value); }
constexpr std::uint64_t low64(int128 value) { return static_cast<std::uint64_t>(value); }
constexpr std::uint64_t low64(const Wide& value) { return value.low64(); }

template <class I>
inline constexpr int kBitsOf = static_cast<int>(8 * sizeof(I));

// floor(value / 2^shift) for any shift >= 0.
template <class I>
constexpr I floor_shift(const I& value, int shift) {
  return value >> (shift < kBitsOf<I> ? shift : kBitsOf<I> - 1);
}

// value * 2^shift, which the caller knows to fit I.
template <class I>
constexpr I align(const I& value, int shift) {
  return value << shift;
}
template <>
constexpr std::int64_t align(const std::int64_t& value, int shift) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(value) << shift);
}
template <>
constexpr int128 align(const int128& value, int shift) {
  return static_cast<int128>(static_cast<uint128>(value) << shift);
}

// value / 2^drop, for drop >= 0.
template <class I>
constexpr Residue residue_of(const I& value, int drop) {
  Residue r;
  r.negative = value < I{0} ? 1 : 0;
  if (drop == 0) {
    r.floor = to_integer(value);
    return r;
  }
  r.floor = to_integer(floor_shift(value, drop));
  if (drop <= 64) {
    const std::uint64_t low = low64(value);
    r.top = drop == 64 ? low : low << (64 - drop);
  } else {
    const I high = floor_shift(value, drop - 64);
    r.top = low64(high);
    // The bits below: the value is not high * 2^(drop - 64).
    r.sticky = (drop - 64 < kBitsOf<I> ? align(high, drop - 64) != value : value != I{0}) ? 1 : 0;
  }
  return r;
}

// value * 2^shift, for shift >= 0 of any size: the fraction is empty.
template <class I>
constexpr Residue residue_scaled_up(const I& value, int shift) {
  Residue r;
  r.negative = value < I{0} ? 1 : 0;
  if (shift < kBitsOf<I>) {
    const I scaled = align(value, shift);
    if (floor_shift(scaled, shift) == value) {
      r.floor = to_integer(scaled);
      return r;
    }
  }
  r.floor.low = shift < 64 ? static_cast<std::int64_t>(low64(value) << shift) : 0;
  r.floor.beyond = value == I{0} ? 0 : value < I{0} ? -2 : 2;
  return r;
}

// value * 2^scale for either sign of scale.
template <class I>
constexpr Residue scaled_residue(const I& value, int scale) {
  return scale < 0 ? residue_of(value, -scale) : residue_scaled_up(value, scale);
}

// A double times 2^scale; an infinity lies beyond every format. The significand is an integer of at most 53 bits, so
// this is exact.
inline Residue scaled_residue(double value, int scale) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const int field = static_cast<int>(bits >> 52 & 0x7ff);
  const std::uint64_t fraction = bits & ((std::uint64_t{1} << 52) - 1);
  const auto magnitude = static_cast<std::int64_t>(field == 0 ? fraction : fraction | std::uint64_t{1} << 52);
  const int exponent = (field == 0 ? 1 : field) - 1075 + scale;
  const bool minus = (bits >> 63) != 0;
  if (field == 0x7ff) return {.floor = {0, minus ? -2 : 2}, .negative = bits >> 63};
  return scaled_residue(minus ? -magnitude : magnitude, exponent);
}

}  // namespace fxsim
