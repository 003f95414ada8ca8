// Copies as plain loops, which compilers make vector code of: every ISA's translation unit includes this once; all of
// it has internal linkage (see lanes.hpp).
#pragma once

#include <cstdint>

#include "kernels/isa/copies.hpp"

namespace fxsim::isa {
namespace {

inline void copy_bytes(const std::uint8_t* __restrict from, std::int64_t count, std::uint8_t flip,
                       std::uint8_t* __restrict to) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = from[i] ^ flip;
}

inline void join_bytes(const std::uint8_t* __restrict from, std::int64_t apart, std::int64_t count, std::uint8_t flip,
                       std::uint32_t* __restrict groups) {
  const std::uint8_t* second = from + apart;
  const std::uint8_t* third = second + apart;
  const std::uint8_t* fourth = third + apart;
  const std::uint32_t flips = flip * 0x01010101U;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint32_t a = from[i], b = second[i], c = third[i], d = fourth[i];
    groups[i] = (a | b << 8 | c << 16 | d << 24) ^ flips;
  }
}

inline void split_pixel(const std::int16_t* from, std::int64_t apart, std::int64_t count, std::uint32_t* __restrict low,
                        std::uint32_t* __restrict high) {
  const auto* first = reinterpret_cast<const std::uint16_t*>(from);
  const auto* second = first + apart;
  const auto* third = second + apart;
  const auto* fourth = third + apart;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint32_t a = first[i], b = second[i], c = third[i], d = fourth[i];
    low[i] = ((a & 0xFF) | (b & 0xFF) << 8 | (c & 0xFF) << 16 | d << 24) ^ 0x80808080;
    high[i] = a >> 8 | (b & 0xFF00) | (c & 0xFF00) << 8 | (d & 0xFF00) << 16;
  }
}

inline void split_words(const std::int16_t* from, std::int64_t apart, std::int64_t channels, std::int64_t pixels,
                        std::uint32_t* low, std::uint32_t* high, std::int64_t pitch) {
  for (std::int64_t x = 0; x < pixels; ++x) {
    split_pixel(from + x * channels, apart, channels, low + x * pitch, high + x * pitch);
  }
}

inline void join_row(const std::int8_t* from, std::int64_t apart, std::int64_t count, std::uint32_t* __restrict groups,
                     std::int32_t* __restrict sums) {
  const std::int8_t* second = from + apart;
  const std::int8_t* third = second + apart;
  const std::int8_t* fourth = third + apart;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int32_t a = from[i], b = second[i], c = third[i], d = fourth[i];
    sums[i] += a + b + c + d;
    groups[i] = static_cast<std::uint32_t>((a & 0xFF) | (b & 0xFF) << 8 | (c & 0xFF) << 16) |
                static_cast<std::uint32_t>(d) << 24;
  }
}

// Rows that lie far apart are no stream to the processor, so they are asked for so many groups ahead.
inline constexpr std::int64_t kGroupsAhead = 8;

template <class T>
void ask_for_rows(const T* from, std::int64_t apart, std::int64_t rows, std::int64_t count) {
  constexpr std::int64_t kLine = 64 / sizeof(T);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t i = 0; i < count; i += kLine) __builtin_prefetch(from + r * apart + i);
  }
}

inline void join_rows(const std::int8_t* from, std::int64_t apart, std::int64_t fours, std::int64_t count,
                      std::uint32_t* groups, std::int64_t groups_apart, std::int32_t* sums) {
  for (std::int64_t r = 0; r < fours; ++r) {
    const std::int8_t* four = from + 4 * r * apart;
    if (r + kGroupsAhead < fours) ask_for_rows(four + 4 * kGroupsAhead * apart, apart, 4, count);
    join_row(four, apart, count, groups + r * groups_apart, sums);
  }
}

template <bool kMagnitudes, class T>
void pair_row(const T* first, const T* second, std::int64_t count, std::uint32_t* __restrict groups,
              std::int32_t* __restrict magnitudes) {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int32_t a = first[i], b = second[i];
    groups[i] = static_cast<std::uint32_t>(a & 0xFFFF) | static_cast<std::uint32_t>(b) << 16;
    if constexpr (kMagnitudes) magnitudes[i] += (a < 0 ? -a : a) + (b < 0 ? -b : b);
  }
}

template <class T>
void pair_rows(const T* from, std::int64_t apart, std::int64_t pairs, std::int64_t count, std::uint32_t* groups,
               std::int64_t groups_apart, std::int32_t* magnitudes) {
  const auto pair = magnitudes == nullptr ? &pair_row<false, T> : &pair_row<true, T>;
  for (std::int64_t r = 0; r < pairs; ++r) {
    const T* two = from + 2 * r * apart;
    if (r + kGroupsAhead < pairs) ask_for_rows(two + 2 * kGroupsAhead * apart, apart, 2, count);
    pair(two, two + apart, count, groups + r * groups_apart, magnitudes);
  }
}

constexpr Copies kCopies{.bytes = &copy_bytes,
                         .join = &join_bytes,
                         .split = &split_words,
                         .join_rows = &join_rows,
                         .pair_bytes = &pair_rows<std::int8_t>,
                         .pair_words = &pair_rows<std::int16_t>};

}  // namespace
}  // namespace fxsim::isa
