// The straight-through estimator's gradient of what was clipped.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "kernels/api.hpp"
#include "kernels/mask_bits.hpp"
#include "kernels/parallel.hpp"
#include "numbers/array.hpp"
#include "numbers/integers.hpp"

namespace fxsim {

// The place in memory of the first byte that is 1; a bool is a byte of 0 or 1.
inline std::int64_t first_byte(std::uint64_t word) {
  const int bit = std::countr_zero(word);
  return std::endian::native == std::endian::little ? bit / 8 : 7 - bit / 8;
}

// Bytes of a mask that are looked at together.
using MaskLines = std::array<std::uint64_t, 32>;

// values[i] <- 0 where mask[i], on this thread. Of a mask that is mostly false little more than the mask is read.
template <class Value>
void clear_stretch(Value* values, const bool* mask, std::int64_t count) {
  constexpr std::int64_t kWord = sizeof(std::uint64_t), kLines = sizeof(MaskLines);
  std::int64_t i = 0;
  for (; i + kLines <= count; i += kLines) {
    MaskLines words;
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
  for (; i < count; ++i) values[i] = mask[i] ? Value{0} : values[i];
}

// The same for `count` elements of an array of floats from number `first` on.
inline void clear_stretch(void* values, Storage storage, const bool* mask, std::int64_t first, std::int64_t count) {
  if (storage == Storage::kFloat32) {
    clear_stretch(static_cast<float*>(values) + first, mask + first, count);
  } else {
    clear_stretch(static_cast<double*>(values) + first, mask + first, count);
  }
}

inline constexpr std::int64_t kClearTask = std::int64_t{1} << 17;

// The same on all threads.
inline void clear(void* values, Storage storage, const bool* mask, std::int64_t count) {
  parallel_for(ceil_div(count, kClearTask), [=](std::int64_t task) {
    clear_stretch(values, storage, mask, task * kClearTask, std::min(kClearTask, count - task * kClearTask));
  });
}

// Elements `first` up to `end` of an array of floats become 0 where a mask of bits says, on this thread.
inline void clear_where(void* values, Storage storage, const std::uint8_t* mask, std::int64_t first, std::int64_t end) {
  if (storage == Storage::kFloat32) {
    clear_where(static_cast<float*>(values), mask, first, end);
  } else {
    clear_where(static_cast<double*>(values), mask, first, end);
  }
}

// The same on all threads, for all `count` elements.
inline void clear_where(void* values, Storage storage, const std::uint8_t* mask, std::int64_t count) {
  parallel_for(ceil_div(count, kClearTask), [=](std::int64_t task) {
    clear_where(values, storage, mask, task * kClearTask, std::min(count, (task + 1) * kClearTask));
  });
}

// Rows of a product's result, on this thread; and all of it, on all threads, where it is to be cleared.
inline void clear_rows(const GemmCall& call, std::int64_t first, std::int64_t rows) {
  clear_where(call.out.data, call.out.storage, call.clear, first * call.out.cols, (first + rows) * call.out.cols);
}
inline void clear_result(const GemmCall& call) {
  if (call.clear != nullptr) clear_where(call.out.data, call.out.storage, call.clear, call.out.rows * call.out.cols);
}

}  // namespace fxsim
