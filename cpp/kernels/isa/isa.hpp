// An instruction set path: its name, which processors can run it, and its micro-kernels. Plain function pointers
// on plain arrays: drivers, threads and memory are the same code for every path.
#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/cpu.hpp"
#include "kernels/isa/across.hpp"
#include "kernels/isa/batch_norm_passes.hpp"
#include "kernels/isa/lanes32.hpp"
#include "kernels/isa/non_zero.hpp"
#include "kernels/isa/runs.hpp"
#include "kernels/isa/steps.hpp"
#include "kernels/isa/tile.hpp"
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

// Micro-kernels for `cols` columns. Rows p_i lie p_stride apart. With `pairs`, r holds for each pair of k the two
// values of every column side by side; else rows r_stride apart. depth is a multiple of kDepthMultiple.
struct Block {
  int rows;
  int cols;
  bool pairs;

  // sums[i][j] = sum over k of p_i[k] * r_j[k]; the caller bounds depth so that no sum leaves 32 bits.
  void (*run)(const std::int16_t* p, std::int64_t p_stride, const std::int16_t* r, std::int64_t r_stride,
              std::int64_t depth, std::int32_t* sums);

  // For `step_rows` rows, held[i][j] is clamped to [lowest, highest] after every k; returns how often that changed it.
  // Held values and products stay below 2^30, so their sum fits. None: there is no such kernel here.
  int step_rows;
  std::int64_t (*run_steps)(const std::int16_t* p, std::int64_t p_stride, const std::int16_t* r, std::int64_t depth,
                            std::int32_t lowest, std::int32_t highest, bool count, std::int32_t* held);
};

// Lanes of the widest vector a block reads at once; packed rows are padded with zeros to a multiple.
inline constexpr std::int64_t kDepthMultiple = 32;

inline constexpr int kMostBlockRows = 12;
inline constexpr int kMostBlockCols = 64;
inline constexpr int kBlockChoices = 3;

// sums[i] += values[i] * 2^shift, mod 2^64.
using AddShifted = void (*)(const std::int32_t* values, std::int64_t count, int shift, std::uint64_t* sums);

// sums[i] += values[i] * times, mod 2^64.
using AddTimes = void (*)(const std::int32_t* values, std::int64_t count, std::uint64_t times, std::uint64_t* sums);

// The same, and about[i] += values[i] * real.
using AddBoth = void (*)(const std::int32_t* values, std::int64_t count, std::uint64_t times, double real,
                         std::uint64_t* sums, double* about);

// Copies lines of 64 bytes to memory without a place for them in the caches; both addresses are those of lines. Other
// threads see them once `end` has returned.
struct Streaming {
  void (*lines)(const void* from, std::int64_t bytes, void* to);
  void (*end)();
};

inline constexpr std::int64_t kStreamLine = 64;

struct Kernels {
  const RoundTable* round;
  const Lanes32* lanes32;
  PhiloxFill philox;
  const Block* blocks;  // kBlockChoices of them, widest first; an instruction set may repeat one
  AddShifted add_shifted;
  AddTimes add_times;
  AddBoth add_both;
  const BatchNormPasses* batch_norm;
  const Across* across;
  const NonZero* non_zero;
  const Steps* steps;
  const Streaming* streaming = nullptr;  // none: there are no instructions for it
  const Tiles* words = nullptr;          // of 16-bit elements; none: sums are taken with `blocks`
  const Tiles* bytes = nullptr;          // of 8-bit elements, where they are faster
};

struct Isa {
  std::string_view name;
  bool (*supported)(const Cpu& cpu);
  const Kernels* kernels;  // none: the scalar reference loops
};

// One a translation unit, and constants: no code of a unit runs before its instruction set was found.
extern const Kernels kPortable;
extern const Kernels kAvx2;
extern const Kernels kAvx512;
extern const Kernels kAvx512Vnni;
extern const Kernels kNeon;
extern const Kernels kNeonDot;

}  // namespace fxsim::isa
