// The generator alone: 32-bit numbers a second.
#include "rounding/philox.hpp"
#include <algorithm>

#include "bench/bench.hpp"
#include "kernels/isa/list.hpp"

namespace fxsim::bench {

void add_philox(const std::string& isa) {
  for (const auto& path : isa::kIsas) {
    if (path.name != isa || path.kernels == nullptr) continue;
    const PhiloxLanes lanes = path.kernels->philox;
    benchmark::RegisterBenchmark(("philox/4x32_10/" + isa).c_str(), [lanes](benchmark::State& state) {
      constexpr std::uint64_t kFirst = 1 << 20;
      std::uint32_t word[4][kPhiloxLanes];
      std::uint32_t right[4][kPhiloxLanes];
      std::uint64_t first = kFirst;
      for (auto _ : state) {
        lanes(first, 2, 1, word);
        benchmark::DoNotOptimize(word);
        first += kPhiloxLanes;
      }
      philox_scalar(first - kPhiloxLanes, 2, 1, right);
      if (!std::equal(&word[0][0], &word[0][0] + 4 * kPhiloxLanes, &right[0][0])) {
        state.SkipWithError("wrong bits");
        return;
      }
      state.SetItemsProcessed(state.iterations() * 4 * kPhiloxLanes);
    });
  }
}

}  // namespace fxsim::bench
