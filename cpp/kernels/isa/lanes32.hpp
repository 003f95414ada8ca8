// What an instruction set offers to round in 32-bit lanes: values to integers, integers into a format and an array.
// generic/round32.hpp knows which values may come this way.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "numbers/array.hpp"
#include "rounding/overflows.hpp"
#include "rounding/philox.hpp"
#include "rounding/roundings.hpp"

namespace fxsim::isa {

// Values that come at once, at most.
inline constexpr std::int64_t kBlock32 = 1024;

// Words of magnitudes up to 2^kMostBits, in units of the last bit kept, are rounded and stored for sure.
inline constexpr int kMostBits = 29;

// Bits of a fraction that a conversion of floats to split words takes.
inline constexpr int kMostSplitBits = 24;

// Integers r with (r + offset) & beyond == 0, mod 2^32: most of a format's range, or all of it.
struct Inside32 {
  std::uint32_t offset = 0;
  std::uint32_t beyond = ~std::uint32_t{0};
};

struct Scale32 {
  double factor = 1;  // floats are multiplied by it, a power of two
  double limit = 0;   // products beyond it, and NaN, are refused
  double top = 0;     // and products beyond this, at most 2^30, are cut off to it
  int bits = 0;       // of the fraction: kept in a short word; dropped from integers
  int random_bits = 0;
  Inside32 inside = {};
};

struct Counts32 {
  std::int64_t inexact = 0;
  std::int64_t round_to_zero = 0;
  bool inside = false;  // all were found to be; they may be where they were not looked at

  void add(const Counts32& other) {
    inexact += other.inexact;
    round_to_zero += other.round_to_zero;
  }
};

// rounded[i] <- round(values[i] * factor), or of integers round(values[i] / 2^bits). False where a value was refused;
// what is written then means nothing. Counting functions count.
template <class Value>
using Round32 = bool (*)(const Value* values, std::int64_t count, const Scale32& scale, const std::uint32_t* u,
                         std::int32_t* rounded, Counts32* counts);

// rounded[i] <- values[i] * 2^up, of values cut off to +-most.
using Lift32 = void (*)(const std::int32_t* values, std::int64_t count, int up, std::int32_t most,
                        std::int32_t* rounded);

// out[at + i] <- overflow(rounded[i]); as floats, times step.
using Store32 = void (*)(const std::int32_t* rounded, std::int64_t count, const Range32& range, double step, void* out,
                         std::int64_t at);

// How many lie outside [low, high]; where `mask` is given, mask[i] <- whether i does.
using Outside32 = std::int64_t (*)(const std::int32_t* rounded, std::int64_t count, std::int32_t low, std::int32_t high,
                                   std::uint8_t* mask);

// Whether a value that is not 0 times a power of two is 0 in its type.
template <class Value>
using Vanishes = bool (*)(const Value* values, std::int64_t count, double factor);

// What one pass over a block of kBlock32 floats is told: of the scale only factor, bits and random_bits.
struct Pass32 {
  Scale32 scale;
  Range32 range;
  float step = 1;
  RoundKeys keys;
  std::uint64_t stream = 0;
};

// What a pass looks for beside the words: nothing, what is outside of the range, and all that is counted.
enum class Look : std::uint8_t { kNothing = 0, kOutside = 1, kAll = 2 };

inline constexpr std::size_t kLooks = 3;

// What it found: bit i of `outside`, least significant first, tells whether word i was, `clipped` how many were.
struct PassCounts {
  Counts32 counts;
  std::int64_t clipped = 0;
  alignas(64) std::array<std::uint8_t, kBlock32 / 8> outside;
};

// out[i] <- saturate(round(values[i] * factor)), as floats times step; `first` is the number of the first block of
// random bits. False where a word may not have fit 32 bits; what is written then means nothing.
using OnePass = bool (*)(const float* values, const Pass32& pass, std::uint64_t first, void* out, PassCounts& counts);

// Indexed by whether it counts, by rounding, by overflow mode, by storage.
struct Lanes32 {
  Round32<float> short_floats[2][kRoundings];
  Round32<float> floats[2][kRoundings];
  Round32<double> doubles[2][kRoundings];
  Round32<std::int32_t> integers[2][kRoundings];
  Lift32 lift;
  Store32 store[kOverflows][kStorages];
  Outside32 outside;
  Vanishes<float> float_vanishes;
  Vanishes<double> double_vanishes;

  // By what they look for, rounding and storage; none: it takes several passes. Of short words, of split ones.
  OnePass short_pass[kLooks][kRoundings][kStorages];
  OnePass split_pass[kLooks][kRoundings][kStorages];
};

}  // namespace fxsim::isa
