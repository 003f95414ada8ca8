// What an instruction set offers to count elements that are not 0.
#pragma once

#include <cstdint>

#include "numbers/array.hpp"

namespace fxsim::isa {

// sums[i] += from[i] != 0.
using AddFlags = void (*)(const void* from, std::int64_t count, std::uint8_t* sums);

// counts[i] <- elements other than 0 of pixel i; pixels of `channels` elements stand together.
using CountPixels = void (*)(const void* from, std::int64_t pixels, std::int64_t channels, std::uint32_t* counts);

// Both at once: sums of every word, the next pixels * channels, and counts of every pixel.
using CountWords = void (*)(const void* from, std::int64_t pixels, std::int64_t channels, std::uint8_t* sums,
                            std::uint16_t* counts);

// Indexed by storage; none for floats.
struct NonZero {
  AddFlags add_flags[kStorages];
  CountPixels count_pixels[kStorages];
  CountWords count_words[kStorages];
  // sums[r][i] += from[r][i] of `rows` rows that lie stride apart.
  void (*add)(const std::uint32_t* from, std::int64_t stride, std::int64_t rows, std::int64_t count,
              std::uint32_t* sums, std::int64_t sums_stride);
  void (*add_short)(const std::uint16_t* from, std::int64_t stride, std::int64_t rows, std::int64_t count,
                    std::uint16_t* sums, std::int64_t sums_stride);
  std::int64_t (*add_bytes)(const std::uint8_t* from, std::int64_t count, std::uint32_t* sums);  // and their sum
  std::int64_t (*dot)(const std::uint32_t* a, const std::uint32_t* b, std::int64_t count);       // mod 2^64
  // Of counts below 2^15, of which `run` products that stand together have a sum below 2^31.
  std::int64_t (*dot_short)(const std::uint16_t* a, const std::uint16_t* b, std::int64_t count, std::int64_t run);
};

}  // namespace fxsim::isa
