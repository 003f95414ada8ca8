// Rounding float32 to words: what fits in the second cache, and what does not fit in any.
#include <cstring>

#include "bench/bench.hpp"
#include "kernels/api.hpp"

namespace fxsim::bench {
namespace {

struct Case {
  const char* name;
  const char* rounding;
  int random_bits;
  int bits;
  Storage storage;
};

constexpr Case kCases[] = {{"nearest_even_s8", "nearest_even", 16, 8, Storage::kInt8},
                           {"stochastic8_s8", "stochastic", 8, 8, Storage::kInt8},
                           {"stochastic16_s8", "stochastic", 16, 8, Storage::kInt8},
                           {"stochastic16_s16", "stochastic", 16, 16, Storage::kInt16},
                           {"stochastic16_float32", "stochastic", 16, 8, Storage::kFloat32}};

constexpr std::int64_t kSizes[] = {32 << 10, 32 << 20};

std::vector<float> values(std::int64_t count) {
  std::vector<float> out;
  out.reserve(static_cast<std::size_t>(count));
  testing::Choices choose(3);
  for (std::int64_t i = 0; i < count; ++i) out.push_back(static_cast<float>(choose.between(-6000, 6000)) / 1024.0F);
  return out;
}

void run(benchmark::State& state, const std::string& isa, const Case& c, std::int64_t size) {
  const std::vector<float> in = values(size);
  std::vector<char> out(static_cast<std::size_t>(size) * sizeof(float));
  std::vector<char> right(out.size());
  QuantizeCall call;
  call.in = {in.data(), Storage::kFloat32, 1, {size}, {1}};
  call.out = right.data();
  call.out_storage = c.storage;
  call.quantizer = testing::quantizer({c.bits, 4, true}, c.rounding, "saturate", c.random_bits);
  call.key = {1, 2};
  {
    const Forced reference("reference");
    quantize(call);
  }
  const Forced forced(isa);
  call.out = out.data();
  for (auto _ : state) benchmark::DoNotOptimize(quantize(call));
  if (std::memcmp(out.data(), right.data(), out.size()) != 0) {
    state.SkipWithError("wrong bits");
    return;
  }
  state.SetItemsProcessed(state.iterations() * size);
}

void copy(benchmark::State& state, std::int64_t size) {
  const std::vector<float> in = values(size);
  std::vector<float> out(in.size());
  for (auto _ : state) {
    std::memcpy(out.data(), in.data(), in.size() * sizeof(float));
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * size);
}

}  // namespace

void add_quantize(const std::string& isa) {
  for (const std::int64_t size : kSizes) {
    const std::string elements = std::to_string(size >> 10) + "Ki/";
    if (isa == "portable") {  // once, whatever the instruction set
      const auto bench = [size](benchmark::State& state) { copy(state, size); };
      benchmark::RegisterBenchmark(("quantize/memcpy_float32_" + elements).c_str(), bench);
    }
    for (const Case& c : kCases) {
      const std::string name = "quantize/" + std::string(c.name) + "_" + elements + isa;
      const auto bench = [isa, c, size](benchmark::State& state) { run(state, isa, c, size); };
      benchmark::RegisterBenchmark(name.c_str(), bench);
    }
  }
}

}  // namespace fxsim::bench
