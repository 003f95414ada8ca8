// Bytes counted a vector at a time: what is not 0 becomes a bit, sums grow where it is 1, and bits of a pixel are
// counted together. Internal linkage throughout (see lanes.hpp).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "kernels/generic/non_zero_loops.hpp"

namespace fxsim::isa {
namespace {

// counts[i] <- bits of field i.
template <class Field>
void count_bits(const Field* fields, std::int64_t count, std::uint16_t* __restrict counts) {
  constexpr auto kAll = static_cast<Field>(~Field{0});
  constexpr auto kPairs = static_cast<Field>(kAll / 3), kFours = static_cast<Field>(kAll / 5),
                 kBytes = static_cast<Field>(kAll / 17);
  for (std::int64_t i = 0; i < count; ++i) {
    Field f = fields[i];
    f = static_cast<Field>(f - (f >> 1 & kPairs));
    f = static_cast<Field>((f & kFours) + (f >> 2 & kFours));
    f = static_cast<Field>((f + (f >> 4)) & kBytes);
    f = static_cast<Field>(f + (f >> 8));
    if constexpr (sizeof(Field) > 2) f = static_cast<Field>(f + (f >> 16));
    counts[i] = static_cast<std::uint16_t>(f & 0xFF);
  }
}

// Ops::add_bits(words, sums) adds to as many sums as its mask has bits. Pixels of 16, 32 or 64 channels, as many as
// fill 64 bits; the others, and other pixels, as elsewhere.
template <class Ops, class T>
void count_byte_words(const void* from, std::int64_t pixels, std::int64_t channels, std::uint8_t* sums,
                      std::uint16_t* counts) {
  static_assert(sizeof(T) == 1);
  constexpr std::int64_t kBits = 64, kStep = 8 * sizeof(typename Ops::Mask);
  const bool fits = channels == 16 || channels == 32 || channels == 64;
  const auto* words = static_cast<const T*>(from);
  const std::int64_t whole = fits ? pixels * channels / kBits * kBits : 0;
  std::array<typename Ops::Mask, kFlags / kStep> bits;
  std::array<std::uint16_t, kFlags / 16> quarters;
  std::array<std::uint32_t, kFlags / 32> halves;
  std::array<std::uint64_t, kFlags / 64> wholes;
  for (std::int64_t start = 0; start < whole; start += kFlags) {
    const std::int64_t part = std::min(kFlags, whole - start);
    for (std::int64_t i = 0; i < part; i += kStep) {
      bits[static_cast<std::size_t>(i / kStep)] = Ops::add_bits(words + start + i, sums + start + i);
    }
    std::uint16_t* of_part = counts + start / channels;
    switch (channels) {
      case 16:
        __builtin_memcpy(quarters.data(), bits.data(), sizeof bits);
        count_bits(quarters.data(), part / 16, of_part);
        break;
      case 32:
        __builtin_memcpy(halves.data(), bits.data(), sizeof bits);
        count_bits(halves.data(), part / 32, of_part);
        break;
      default:
        __builtin_memcpy(wholes.data(), bits.data(), sizeof bits);
        for (std::int64_t i = 0; i < part / 64; ++i) {
          of_part[i] = static_cast<std::uint16_t>(__builtin_popcountll(wholes[static_cast<std::size_t>(i)]));
        }
    }
  }
  if (whole < pixels * channels) {
    count_words<T>(words + whole, pixels - whole / channels, channels, sums + whole, counts + whole / channels);
  }
}

template <class Ops>
constexpr NonZero with_bytes(NonZero table) {
  table.count_words[static_cast<std::size_t>(storage_of<std::int8_t>())] = &count_byte_words<Ops, std::int8_t>;
  table.count_words[static_cast<std::size_t>(storage_of<std::uint8_t>())] = &count_byte_words<Ops, std::uint8_t>;
  return table;
}

}  // namespace
}  // namespace fxsim::isa
