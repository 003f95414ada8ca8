// Masks of what was clipped, a bit an element: bit i % 8 of byte i / 8 tells of element i. They have whole words of
// kMaskWord bits, 0 beyond the last element.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>

#include "numbers/integers.hpp"

namespace fxsim {

inline constexpr std::int64_t kMaskWord = 64;

constexpr std::int64_t mask_bytes(std::int64_t elements) { return ceil_div(elements, kMaskWord) * (kMaskWord / 8); }

// Bits of a mask from number 64 * word on, the first one the least.
inline std::uint64_t mask_word(const std::uint8_t* mask, std::int64_t word) {
  std::uint64_t bits;
  std::memcpy(&bits, mask + word * 8, sizeof bits);
  if constexpr (std::endian::native == std::endian::big) bits = __builtin_bswap64(bits);
  return bits;
}

// Bytes of 0 or 1 as bits; `count` is rounded up to whole bytes of `bits`, and so many bytes are read.
inline void bits_of_bytes(const std::uint8_t* bytes, std::int64_t count, std::uint8_t* bits) {
  for (std::int64_t i = 0; i < ceil_div(count, std::int64_t{8}); ++i) {
    unsigned own = 0;
    for (int bit = 0; bit < 8; ++bit) own |= static_cast<unsigned>(bytes[8 * i + bit]) << bit;
    bits[i] = static_cast<std::uint8_t>(own);
  }
}

// The other way round; `count` is a multiple of eight.
inline void bytes_of_bits(const std::uint8_t* bits, std::int64_t count, std::uint8_t* bytes) {
  constexpr std::uint64_t kOnes = 0x0101010101010101, kDiagonal = 0x8040201008040201;
  for (std::int64_t i = 0; i < count / 8; ++i) {
    const std::uint64_t own = bits[i] * kOnes & kDiagonal;
    const std::uint64_t eight = (own + 0x7F * kOnes) >> 7 & kOnes;
    for (int byte = 0; byte < 8; ++byte) bytes[8 * i + byte] = static_cast<std::uint8_t>(eight >> (8 * byte));
  }
}

// Bits 0 .. count - 1 as those of elements start, start + 1, ... of a mask of zeros. Other threads may write those
// before and after.
inline void put_bits(const std::uint8_t* bits, std::int64_t count, std::uint8_t* mask, std::int64_t start) {
  std::int64_t i = 0;
  if (start % 8 == 0) {
    i = count / 8 * 8;
    std::copy_n(bits, i / 8, mask + start / 8);
  }
  for (; i < count; ++i) {
    if ((bits[i / 8] >> (i % 8) & 1) == 0) continue;
    const auto bit = static_cast<std::uint8_t>(1U << ((start + i) % 8));
    std::atomic_ref(mask[(start + i) / 8]).fetch_or(bit, std::memory_order_relaxed);
  }
}

// values[i] <- 0 where bit i of the mask is set, for i from `first` up to `end`.
template <class Value>
void clear_where(Value* values, const std::uint8_t* mask, std::int64_t first, std::int64_t end) {
  for (std::int64_t word = first / kMaskWord; word * kMaskWord < end; ++word) {
    std::uint64_t bits = mask_word(mask, word);
    if (bits == 0) continue;
    const std::int64_t at = word * kMaskWord;
    if (at < first) bits &= ~std::uint64_t{0} << (first - at);
    if (end - at < kMaskWord) bits &= ~(~std::uint64_t{0} << (end - at));
    for (; bits != 0; bits &= bits - 1) values[at + std::countr_zero(bits)] = Value{0};
  }
}

}  // namespace fxsim
