// Exact square products from words to words, and one that saturates after every step.
#include <algorithm>

#include "bench/bench.hpp"
#include "kernels/api.hpp"

namespace fxsim::bench {
namespace {

constexpr int kWide = 64;  // an accumulator of so many bits or more is exact here

struct Case {
  int bits;
  std::int64_t size;
  int accumulator_bits;
};

constexpr Case kCases[] = {{8, 512, kWide},  {8, 1024, kWide}, {16, 512, kWide}, {20, 512, kWide},
                           {24, 512, kWide}, {32, 256, kWide}, {8, 512, 20},     {8, 512, 16}};

template <class T>
Operand matrix(const std::vector<T>& data, Storage storage, int bits, std::int64_t size) {
  Operand o;
  o.data = data.data();
  o.storage = storage;
  o.format = {bits, 0, true};
  o.pixels = {size, 1, 1};
  o.taps = {1, 1, size};
  o.stride_n = size;
  o.stride_c = 1;
  return o;
}

// The sum over k, clipped after every term.
template <class T>
std::int64_t stepped(const T* a, const T* b, std::int64_t size, const Format& held) {
  std::int64_t sum = 0;
  for (std::int64_t k = 0; k < size; ++k) {
    sum = std::clamp(sum + std::int64_t{a[k]} * b[k], held.raw_min(), held.raw_max());
  }
  return sum;
}

template <class T>
void run(benchmark::State& state, const std::string& isa, Storage storage, const Case& c) {
  const Forced forced(isa);
  const std::int64_t size = c.size;
  const int data_bits = std::min(c.bits, 27);  // so that exact sums stay within 64 bits
  const auto a = words<T>(size * size, data_bits, 1);
  const auto b = words<T>(size * size, data_bits, 2);
  std::vector<std::int64_t> out(static_cast<std::size_t>(size * size));
  GemmCall call;
  call.a = matrix(a, storage, c.bits, size);
  call.b = matrix(b, storage, c.bits, size);
  call.out = {out.data(), Storage::kInt64, size, size, size, 1};
  call.output = testing::quantizer({kWide, 0, true});
  call.index_row_stride = size;
  if (c.accumulator_bits < kWide) {
    call.accumulator.inner = testing::quantizer({c.accumulator_bits, 0, true});
    call.output = *call.accumulator.inner;
  }
  const double seconds = run_timed(state, [&] { benchmark::DoNotOptimize(gemm(call)); });
  for (std::int64_t i = 0; i < size; ++i) {  // one element of each row
    const std::int64_t j = i * 7 % size;
    if (out[static_cast<std::size_t>(i * size + j)] != stepped(&a[static_cast<std::size_t>(i * size)],
                                                               &b[static_cast<std::size_t>(j * size)], size,
                                                               call.output.format)) {
      state.SkipWithError("wrong bits");
      return;
    }
  }
  count_macs(state, isa, static_cast<double>(size * size * size), seconds);
}

}  // namespace

void add_gemm(const std::string& isa) {
  for (const Case& c : kCases) {
    const std::string held = c.accumulator_bits < kWide ? "_saturating_" + std::to_string(c.accumulator_bits) : "";
    const std::string name = "gemm/s" + std::to_string(c.bits) + "_" + std::to_string(c.size) + held + "/" + isa;
    benchmark::RegisterBenchmark(name.c_str(), [isa, c](benchmark::State& state) {
      if (c.bits <= 8) return run<std::int8_t>(state, isa, Storage::kInt8, c);
      if (c.bits <= 16) return run<std::int16_t>(state, isa, Storage::kInt16, c);
      return run<std::int32_t>(state, isa, Storage::kInt32, c);
    })->Unit(benchmark::kMillisecond);
  }
}

}  // namespace fxsim::bench
