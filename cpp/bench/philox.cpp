// The generator alone: 32-bit numbers a second.
#include "rounding/philox.hpp"
#include <array>

#include "bench/bench.hpp"
#include "kernels/isa/list.hpp"

namespace fxsim::bench {

void add_philox(const std::string& isa) {
  for (const auto& path : isa::kIsas) {
    if (path.name != isa || path.kernels == nullptr) continue;
    const PhiloxFill fill = path.kernels->philox;
    benchmark::RegisterBenchmark(("philox/4x32_10/" + isa).c_str(), [fill](benchmark::State& state) {
      constexpr std::uint64_t kFirst = 1 << 20;
      constexpr std::int64_t kGroups = 16;
      constexpr Key kKey{1, 2};
      std::array<std::uint32_t, kGroups * 4 * kPhiloxLanes> numbers;
      std::array<std::uint32_t, kGroups * 4 * kPhiloxLanes> right;
      std::uint64_t first = kFirst;
      for (auto _ : state) {
        fill(kKey, first, kGroups, 32, numbers.data());
        benchmark::DoNotOptimize(numbers);
        first += kGroups * kPhiloxLanes;
      }
      philox_scalar(kKey, first - kGroups * kPhiloxLanes, kGroups, 32, right.data());
      if (numbers != right) {
        state.SkipWithError("wrong bits");
        return;
      }
      state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(numbers.size()));
    });
  }
}

}  // namespace fxsim::bench
