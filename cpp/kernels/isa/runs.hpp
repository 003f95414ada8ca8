// What the kernels are told that take many steps of one row at once. Outputs stand side by side in sixteens, as the
// random bits do; a register stays in vectors while k runs. Registers are those of LaneRule, in 32-bit lanes.
#pragma once

#include <cstdint>

#include "kernels/isa/steps.hpp"
#include "rounding/philox.hpp"

namespace fxsim::isa {

inline constexpr std::int64_t kSixteen = kPhiloxLanes;

// Steps that a run has at most, and the sixteens of a row: as many as share their random blocks.
inline constexpr std::int64_t kMostRun = 32;
inline constexpr std::int64_t kMostSixteens = 16;

// U of sixteen blocks for `depth` steps, as many bits as the step drops or has: for each step and each pair of fields
// sixteen groups of two words, the even field's in the lower one.
struct DrawCall {
  Key key;
  std::uint64_t first = 0;  // of the blocks; their site and the ordinal of the first step included
  std::int64_t depth = 0;   // at most kMostRun
  int fields = 8;
  int kept = 16;  // bits of U, from the top of a field; at most 15
  std::int32_t* draws = nullptr;
};

// Groups of draws from one step to the next.
constexpr std::int64_t draw_stride(int fields) { return fields / 2 * kSixteen; }

struct RunCall {
  const LaneRule* rule = nullptr;
  std::int64_t depth = 0;
  std::int64_t sixteens = 0;
  const std::int32_t* a = nullptr;  // of each k a group of two words, the upper one 0
  const std::int32_t* b = nullptr;  // of each k the words of all columns
  std::int64_t b_stride = 0;
  const std::int32_t* draws = nullptr;
  std::int64_t draw_stride = 0;
  std::int64_t first_field = 0;      // of the first sixteen
  std::int32_t* entering = nullptr;  // of each k what enters
  std::int32_t factor = 1;           // kRunEnds: what that is multiplied by, a word
  std::int32_t* held = nullptr;
};

enum RunRounding : std::uint8_t { kRunExact, kRunBase, kRunSigned, kRunOdd, kRunDraws, kRunDrawsOdd };
inline constexpr int kRunRoundings = 6;

// The overflow mode; kRunEnds: lanes are scaled so that their own ends, where additions saturate, are the register's.
enum RunLimit : std::uint8_t { kRunClamp, kRunZero, kRunWrap, kRunEnds };
inline constexpr int kRunLimits = 4;

using Run = std::int64_t (*)(const RunCall&);

// All return how many values left their register where that is counted (the last index), else 0.
struct Runs {
  void (*draws)(const DrawCall& call);
  // entering <- a * b in the register, as it leaves it
  Run settle[kRunRoundings][kRunLimits][2];
  // held <- held + entering in the register, k after k; with the first index 1 it is a * b that enters
  Run step[2][kRunRoundings][kRunLimits][2];
  bool ends;  // steps that are exact or draw have kRunEnds, uncounted
};

}  // namespace fxsim::isa
