// The peaks as benchmarks, and as what shares are taken of.
#include <algorithm>
#include <ctime>
#include <map>
#include <span>

#include "bench/bench.hpp"
#include "bench/peak/peak.hpp"

namespace fxsim::bench {
namespace {

std::span<const Peak> peaks_of(const std::string& isa) {
#if defined(__x86_64__)
  for (const std::span<const Peak> peaks : {std::span<const Peak>(kPeaksAvx2), std::span<const Peak>(kPeaksAvx512),
                                            std::span<const Peak>(kPeaksAvx512Vnni)}) {
    if (peaks.front().isa == isa) return peaks;
  }
#endif
  return {};
}

// The best of a few runs, each a few milliseconds of CPU time.
double measured(const Peak& peak) {
  constexpr int kCalls = 64;
  double best = 0;
  for (int i = 0; i < 5; ++i) {
    const std::clock_t begun = std::clock();
    for (int call = 0; call < kCalls; ++call) peak.run();
    const double seconds = static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC;
    best = std::max(best, static_cast<double>(peak.macs) * kCalls / seconds);
  }
  return best;
}

}  // namespace

double peak_macs(const std::string& isa) {
  static std::map<std::string, double> known;
  const auto [entry, is_new] = known.try_emplace(isa, 0.0);
  const auto peaks = peaks_of(isa);
  if (is_new && !peaks.empty()) entry->second = measured(peaks.front());
  return entry->second;
}

void add_peak(const std::string& isa) {
  for (const Peak& peak : peaks_of(isa)) {
    const std::string name = "peak/" + std::string(peak.instruction) + "/" + isa;
    benchmark::RegisterBenchmark(name.c_str(), [&peak](benchmark::State& state) {
      const double seconds = run_timed(state, peak.run);
      count_macs(state, peak.isa, static_cast<double>(peak.macs), seconds);
    });
  }
}

}  // namespace fxsim::bench
