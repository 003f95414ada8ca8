// Bytes counted 64 at a time: what is not 0 becomes a bit, sums grow where it is 1, and bits of a pixel are counted
// together. Internal linkage throughout (see lanes.hpp).
#pragma once

#include <immintrin.h>

#include <array>
#include <bit>
#include <cstdint>

#include "kernels/generic/non_zero_loops.hpp"

namespace fxsim::isa {
namespace {

constexpr std::int64_t kBits = 64;

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

// Of pixels of 16, 32 or 64 channels as many as fill vectors; the others, and other pixels, as elsewhere.
template <class T>
void count_byte_words(const void* from, std::int64_t pixels, std::int64_t channels, std::uint8_t* sums,
                      std::uint16_t* counts) {
  static_assert(sizeof(T) == 1);
  const bool fits = channels == 16 || channels == 32 || channels == 64;
  const auto* words = static_cast<const T*>(from);
  const std::int64_t whole = fits ? pixels * channels / kBits * kBits : 0;
  const __m512i minus_one = _mm512_set1_epi8(-1);
  std::array<std::uint64_t, kFlags / kBits> bits;
  for (std::int64_t start = 0; start < whole; start += kFlags) {
    const std::int64_t part = std::min(kFlags, whole - start);
    for (std::int64_t i = 0; i < part; i += kBits) {
      const __m512i vector = _mm512_loadu_si512(words + start + i);
      const __mmask64 found = _mm512_test_epi8_mask(vector, vector);
      std::uint8_t* to = sums + start + i;
      const __m512i old = _mm512_loadu_si512(to);
      _mm512_storeu_si512(to, _mm512_mask_sub_epi8(old, found, old, minus_one));
      bits[static_cast<std::size_t>(i / kBits)] = found;
    }
    std::uint16_t* of_part = counts + start / channels;
    std::array<std::uint32_t, kFlags / 32> halves;
    std::array<std::uint16_t, kFlags / 16> quarters;
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
        for (std::int64_t i = 0; i < part / kBits; ++i) {
          of_part[i] = static_cast<std::uint16_t>(std::popcount(bits[static_cast<std::size_t>(i)]));
        }
    }
  }
  if (whole < pixels * channels) {
    count_words<T>(words + whole, pixels - whole / channels, channels, sums + whole, counts + whole / channels);
  }
}

constexpr NonZero with_bytes(NonZero table) {
  table.count_words[static_cast<std::size_t>(storage_of<std::int8_t>())] = &count_byte_words<std::int8_t>;
  table.count_words[static_cast<std::size_t>(storage_of<std::uint8_t>())] = &count_byte_words<std::uint8_t>;
  return table;
}

}  // namespace
}  // namespace fxsim::isa
