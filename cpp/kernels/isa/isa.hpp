// An instruction set path: its name, whether this machine can run it, and its micro-kernels. Plain function pointers
// on plain arrays: drivers, threads and memory are the same code for every path.
#pragma once

#include <cstdint>
#include <string_view>

#include "rounding/philox.hpp"
#include "rounding/quantizer.hpp"

namespace fxsim::isa {

struct BlockCounts {
  std::int64_t overflows = 0;
  std::int64_t inexact = 0;
  std::int64_t round_to_zero = 0;
  std::int64_t clipped = 0;
};

// raw[i] <- overflow(round(values[i] * step / 2^32)), clipped[i] <- whether the range was left. Returns false, and
// has written nothing, where a value is too large, too small or no number; step is a power of two.
using RoundDoubles = bool (*)(const double* values, std::int64_t count, double step, const Quantizer& quantizer,
                              const std::uint32_t* u, std::int64_t* raw, std::uint8_t* clipped, BlockCounts* counts);

// The same for values / 2^drop, 0 <= drop <= 63.
using RoundIntegers = void (*)(const std::int64_t* values, std::int64_t count, int drop, const Quantizer& quantizer,
                               const std::uint32_t* u, std::int64_t* raw, std::uint8_t* clipped, BlockCounts* counts);

// Indexed by rounding and overflow mode.
struct RoundTable {
  RoundDoubles doubles[kRoundings][kOverflows];
  RoundIntegers integers[kRoundings][kOverflows];
};

inline constexpr int kDotRows = 4;
inline constexpr int kDotCols = 2;

// sums[i][j] = sum over k < depth of a[i][k] * b[j][k]; the caller bounds depth so that no sum leaves 32 bits.
using DotTile = void (*)(const std::int16_t* const a[kDotRows], const std::int16_t* const b[kDotCols],
                         std::int64_t depth, std::int32_t sums[kDotRows][kDotCols]);

struct Kernels {
  RoundTable round;
  PhiloxLanes philox;
  DotTile dot;
};

struct Isa {
  std::string_view name;
  bool (*supported)();
  const Kernels* kernels;  // none: the scalar reference loops
};

// One function a translation unit.
Isa reference();
Isa portable();
Isa avx2();
Isa avx512();

}  // namespace fxsim::isa
