// What the microbenchmarks share: who adds them, rates and shares of the machine's peak, random operands.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <ctime>
#include <string>
#include <vector>

#include "kernels/dispatch.hpp"
#include "tests/cases.hpp"

namespace fxsim::bench {

// Each adds its benchmarks for one instruction set, named KIND/CASE/ISA.
void add_peak(const std::string& isa);
void add_gemm(const std::string& isa);
void add_conv(const std::string& isa);
void add_quantize(const std::string& isa);
void add_philox(const std::string& isa);

// Multiply-accumulates a second of the fastest multiply-add of 8-bit words in the set's own registers, nothing loaded
// or stored; 0 where nobody wrote that loop.
double peak_macs(const std::string& isa);

// Runs the timed loop; seconds of CPU time it took.
template <class F>
double run_timed(benchmark::State& state, const F& run) {
  const std::clock_t begun = std::clock();
  for (auto _ : state) run();
  return static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC;
}

// Multiply-accumulates a second, and their percentage of the peak. macs: of one iteration.
inline void count_macs(benchmark::State& state, const std::string& isa, double macs, double seconds) {
  const double rate = macs * static_cast<double>(state.iterations()) / seconds;
  state.counters["MAC/s"] = rate;
  if (const double peak = peak_macs(isa); peak > 0) state.counters["%peak"] = 100 * rate / peak;
}

// The same words on every machine.
template <class T>
std::vector<T> words(std::int64_t count, int bits, std::uint64_t seed) {
  testing::Choices choose(seed);
  std::vector<T> out(static_cast<std::size_t>(count));
  const std::int64_t limit = std::int64_t{1} << (bits - 1);
  for (T& each : out) each = static_cast<T>(choose.between(-limit, limit - 1));
  return out;
}

// Runs on one instruction set while it lives.
class Forced {
 public:
  explicit Forced(const std::string& isa) { force_isa(isa); }
  ~Forced() { force_isa(""); }
  Forced(const Forced&) = delete;
  Forced& operator=(const Forced&) = delete;
};

}  // namespace fxsim::bench
