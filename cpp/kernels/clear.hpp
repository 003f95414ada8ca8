// The straight-through estimator's gradient of what was clipped.
#pragma once

#include <algorithm>
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

// values[i] <- 0 where mask[i]. Of a mask that is mostly false little more than the mask is read.
template <class Value>
void clear(Value* values, const bool* mask, std::int64_t count) {
  constexpr std::int64_t kTask = std::int64_t{1} << 17;
  constexpr std::int64_t kWord = 8;
  parallel_for(ceil_div(count, kTask), [=](std::int64_t task) {
    const std::int64_t end = std::min((task + 1) * kTask, count);
    std::int64_t i = task * kTask;
    for (; i + kWord <= end; i += kWord) {
      std::uint64_t word;
      std::memcpy(&word, mask + i, sizeof word);
      for (; word != 0; word &= word - 1) values[i + first_byte(word)] = Value{0};
    }
    for (; i < end; ++i) values[i] = mask[i] ? Value{0} : values[i];
  });
}

}  // namespace fxsim
