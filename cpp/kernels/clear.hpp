// The straight-through estimator's gradient of what was clipped.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "kernels/parallel.hpp"
#include "numbers/integers.hpp"

namespace fxsim {

// The place in memory of the first byte that is 1; a bool is a byte of 0 or 1.
inline std::int64_t first_byte(std::uint64_t word) {
  const int bit = std::countr_zero(word);
  return std::endian::native == std::endian::little ? bit / 8 : 7 - bit / 8;
}

using MaskLine = std::array<std::uint64_t, 8>;

// values[i] <- 0 where mask[i]. Of a mask that is mostly false little more than the mask is read, a line at a time.
template <class Value>
void clear(Value* values, const bool* mask, std::int64_t count) {
  constexpr std::int64_t kTask = std::int64_t{1} << 17;
  constexpr std::int64_t kWord = sizeof(std::uint64_t), kLine = sizeof(MaskLine);
  parallel_for(ceil_div(count, kTask), [=](std::int64_t task) {
    const std::int64_t end = std::min((task + 1) * kTask, count);
    std::int64_t i = task * kTask;
    for (; i + kLine <= end; i += kLine) {
      MaskLine words;
      std::memcpy(words.data(), mask + i, sizeof words);
      std::uint64_t any = 0;
      for (const std::uint64_t word : words) any |= word;
      if (any == 0) continue;
      Value* to = values + i;
      for (std::uint64_t word : words) {
        for (; word != 0; word &= word - 1) to[first_byte(word)] = Value{0};
        to += kWord;
      }
    }
    for (; i < end; ++i) values[i] = mask[i] ? Value{0} : values[i];
  });
}

}  // namespace fxsim
