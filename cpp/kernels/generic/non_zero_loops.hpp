// Elements become flags, bytes of 0 or 1, so that vector lanes are as many as can be; flags are added up as bytes while
// those hold them. Every ISA's translation unit includes this once; all of it has internal linkage (see lanes.hpp).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>

#include "kernels/isa/non_zero.hpp"

namespace fxsim::isa {
namespace {

constexpr std::int64_t kFlags = 4096;
constexpr std::int64_t kWord = sizeof(std::uint64_t);

template <class T>
void add_flags(const void* from, std::int64_t count, std::uint8_t* __restrict sums) {
  const T* __restrict elements = static_cast<const T*>(from);
  for (std::int64_t i = 0; i < count; ++i) sums[i] = static_cast<std::uint8_t>(sums[i] + (elements[i] != 0 ? 1 : 0));
}

template <class T>
void set_flags(const T* __restrict from, std::int64_t count, std::uint8_t* __restrict flags) {
  for (std::int64_t i = 0; i < count; ++i) flags[i] = from[i] != 0 ? 1 : 0;
}

// The sum of the eight bytes of a word, at most 31 each: shifts and sums, which vectors have of 64 bits too.
inline std::uint32_t sum_bytes(std::uint64_t word) {
  word += word >> 32;
  word += word >> 16;
  word += word >> 8;
  return static_cast<std::uint32_t>(word & 0xFF);
}

inline std::uint64_t word_at(const std::uint8_t* flags) {
  std::uint64_t word;
  std::memcpy(&word, flags, sizeof word);
  return word;
}

// Of pixels of kWords words; a byte of their sum is at most kWords.
template <int kWords, class Count>
void sum_pixels(const std::uint8_t* __restrict flags, std::int64_t pixels, Count* __restrict counts) {
  static_assert(kWords <= 31);
  for (std::int64_t i = 0; i < pixels; ++i) {
    std::uint64_t sums = 0;
    for (int j = 0; j < kWords; ++j) sums += word_at(flags + (i * kWords + j) * kWord);
    counts[i] = static_cast<Count>(sum_bytes(sums));
  }
}

inline std::uint32_t sum_flags(const std::uint8_t* flags, std::int64_t count) {
  std::uint32_t total = 0;
  std::int64_t i = 0;
  for (; i + kWord <= count; i += kWord) total += sum_bytes(word_at(flags + i));
  for (; i < count; ++i) total += flags[i];
  return total;
}

template <class Count>
void sum_channels(const std::uint8_t* flags, std::int64_t pixels, std::int64_t channels, Count* counts) {
  switch (channels) {
    case 1 * kWord: return sum_pixels<1>(flags, pixels, counts);
    case 2 * kWord: return sum_pixels<2>(flags, pixels, counts);
    case 4 * kWord: return sum_pixels<4>(flags, pixels, counts);
    case 8 * kWord: return sum_pixels<8>(flags, pixels, counts);
    case 16 * kWord: return sum_pixels<16>(flags, pixels, counts);
    default: break;
  }
  for (std::int64_t i = 0; i < pixels; ++i) counts[i] = static_cast<Count>(sum_flags(flags + i * channels, channels));
}

template <class T>
std::uint32_t count_run(const T* from, std::int64_t count) {
  std::array<std::uint8_t, kFlags> flags;
  std::uint32_t total = 0;
  for (std::int64_t i = 0; i < count; i += kFlags) {
    const std::int64_t part = std::min(kFlags, count - i);
    set_flags(from + i, part, flags.data());
    total += sum_flags(flags.data(), part);
  }
  return total;
}

template <class T>
void count_pixels(const void* from, std::int64_t pixels, std::int64_t channels, std::uint32_t* counts) {
  const T* elements = static_cast<const T*>(from);
  if (channels > kFlags) {
    for (std::int64_t i = 0; i < pixels; ++i) counts[i] = count_run(elements + i * channels, channels);
    return;
  }
  std::array<std::uint8_t, kFlags> flags;
  const std::int64_t most = kFlags / std::max<std::int64_t>(channels, 1);
  for (std::int64_t start = 0; start < pixels; start += most) {
    const std::int64_t count = std::min(most, pixels - start);
    set_flags(elements + start * channels, count * channels, flags.data());
    sum_channels(flags.data(), count, channels, counts + start);
  }
}

template <class T>
void set_and_add_flags(const T* __restrict from, std::int64_t count, std::uint8_t* __restrict flags,
                       std::uint8_t* __restrict sums) {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint8_t flag = from[i] != 0 ? 1 : 0;
    flags[i] = flag;
    sums[i] = static_cast<std::uint8_t>(sums[i] + flag);
  }
}

template <class T>
void count_words(const void* from, std::int64_t pixels, std::int64_t channels, std::uint8_t* sums,
                 std::uint16_t* counts) {
  const T* elements = static_cast<const T*>(from);
  if (channels > kFlags) {
    for (std::int64_t i = 0; i < pixels; ++i) {
      add_flags<T>(elements + i * channels, channels, sums + i * channels);
      counts[i] = static_cast<std::uint16_t>(count_run(elements + i * channels, channels));
    }
    return;
  }
  std::array<std::uint8_t, kFlags> flags;
  const std::int64_t most = kFlags / std::max<std::int64_t>(channels, 1);
  for (std::int64_t start = 0; start < pixels; start += most) {
    const std::int64_t count = std::min(most, pixels - start);
    set_and_add_flags(elements + start * channels, count * channels, flags.data(), sums + start * channels);
    sum_channels(flags.data(), count, channels, counts + start);
  }
}

inline std::int64_t add_bytes(const std::uint8_t* __restrict from, std::int64_t count, std::uint32_t* __restrict sums) {
  std::int64_t total = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    sums[i] += from[i];
    total += from[i];
  }
  return total;
}

template <class Count>
void add_counts(const Count* from, std::int64_t stride, std::int64_t rows, std::int64_t count, Count* sums,
                std::int64_t sums_stride) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const Count* __restrict line = from + r * stride;
    Count* __restrict to = sums + r * sums_stride;
    for (std::int64_t i = 0; i < count; ++i) to[i] = static_cast<Count>(to[i] + line[i]);
  }
}

inline std::int64_t dot_counts(const std::uint32_t* a, const std::uint32_t* b, std::int64_t count) {
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += std::uint64_t{a[i]} * b[i];
  return static_cast<std::int64_t>(sum);
}

inline std::int64_t dot_short_counts(const std::uint16_t* a, const std::uint16_t* b, std::int64_t count,
                                     std::int64_t run) {
  std::int64_t total = 0;
  for (std::int64_t i = 0; i < count; i += run) {
    const std::int64_t part = std::min(run, count - i);
    std::int32_t sum = 0;
    for (std::int64_t j = i; j < i + part; ++j) {
      sum += static_cast<std::int16_t>(a[j]) * static_cast<std::int16_t>(b[j]);
    }
    total += sum;
  }
  return total;
}

template <class... T>
constexpr NonZero make_non_zero(const std::tuple<T...>*) {
  NonZero table{};
  std::size_t at = 0;
  const auto fill = [&]<class One>(const One*) {
    if constexpr (std::is_integral_v<One>) {
      table.add_flags[at] = &add_flags<One>;
      table.count_pixels[at] = &count_pixels<One>;
      table.count_words[at] = &count_words<One>;
    }
    ++at;
  };
  (fill(static_cast<const T*>(nullptr)), ...);
  table.add = &add_counts<std::uint32_t>;
  table.add_short = &add_counts<std::uint16_t>;
  table.add_bytes = &add_bytes;
  table.dot = &dot_counts;
  table.dot_short = &dot_short_counts;
  return table;
}

constexpr NonZero kNonZero = make_non_zero(static_cast<const StorageTypes*>(nullptr));

}  // namespace
}  // namespace fxsim::isa
