// How many multiply-accumulates an instruction set can do at all: its multiply-adds on registers, chains enough to hide
// their latency, nothing loaded or stored. One translation unit a set, compiled with its flags.
#pragma once

#include <cstdint>

namespace fxsim::bench {

struct Peak {
  const char* isa;
  const char* instruction;
  std::int64_t macs;  // a call
  void (*run)();
};

// Of each set the fastest for 8-bit words first.
inline constexpr int kPeaksOfSet = 2;
extern const Peak kPeaksAvx2[kPeaksOfSet];
extern const Peak kPeaksAvx512[kPeaksOfSet];
extern const Peak kPeaksAvx512Vnni[kPeaksOfSet];

namespace {

constexpr int kRounds = 4096;
constexpr int kChains = 12;
constexpr std::int64_t kSteps = std::int64_t{kRounds} * kChains;

// The empty assembly keeps every step, and every chain in a register of its own.
template <class Vector, class Step>
inline void run_chains(Vector start, const Step& step) {
  Vector sums[kChains];
#pragma GCC unroll 12
  for (Vector& sum : sums) sum = start;
  for (int i = 0; i < kRounds; ++i) {
#pragma GCC unroll 12
    for (Vector& sum : sums) {
      sum = step(sum);
      asm volatile("" : "+v"(sum));
    }
  }
}

}  // namespace
}  // namespace fxsim::bench
