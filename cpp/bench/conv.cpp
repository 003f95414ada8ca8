// 8-bit convolutions of ResNet20 at batch 16, from words to exact words.
#include "bench/bench.hpp"
#include "kernels/api.hpp"

namespace fxsim::bench {
namespace {

struct Case {
  std::int64_t channels_in, channels_out, size, stride;
};

constexpr Case kCases[] = {{3, 16, 32, 1},  {16, 16, 32, 1}, {16, 32, 32, 2},
                           {32, 32, 16, 1}, {32, 64, 16, 2}, {64, 64, 8, 1}};

constexpr std::int64_t kBatch = 16;
constexpr std::int64_t kKernel = 3;

struct Tensors {
  std::vector<std::int8_t> x, w;
  std::vector<std::int32_t> out;
};

GemmCall convolution(const Case& c, Tensors& t) {
  const std::int64_t out_size = (c.size - 1) / c.stride + 1;
  t.x = words<std::int8_t>(kBatch * c.size * c.size * c.channels_in, 8, 1);
  t.w = words<std::int8_t>(c.channels_out * kKernel * kKernel * c.channels_in, 8, 2);
  t.out.resize(static_cast<std::size_t>(kBatch * out_size * out_size * c.channels_out));
  GemmCall call;
  Operand& a = call.a;
  a.data = t.x.data();
  a.storage = Storage::kInt8;
  a.format = {8, 4, true};
  a.pixels = {kBatch, out_size, out_size};
  a.taps = {kKernel, kKernel, c.channels_in};
  a.stride_n = c.size * c.size * c.channels_in;
  a.stride_y = c.size * c.channels_in;
  a.stride_x = c.channels_in;
  a.stride_c = 1;
  a.map_y = a.map_x = {c.stride, 1, -1, 1, c.size};
  Operand& b = call.b;
  b.data = t.w.data();
  b.storage = Storage::kInt8;
  b.format = {8, 4, true};
  b.pixels = {c.channels_out, 1, 1};
  b.taps = a.taps;
  b.stride_n = kKernel * kKernel * c.channels_in;
  b.stride_y = kKernel * c.channels_in;
  b.stride_x = c.channels_in;
  b.stride_c = 1;
  b.map_y = b.map_x = {0, 1, 0, 1, kKernel};
  call.out = {t.out.data(), Storage::kInt32, kBatch * out_size * out_size, c.channels_out, c.channels_out, 1};
  call.output = testing::quantizer({32, 8, true});
  call.index_row_stride = c.channels_out;
  return call;
}

std::int64_t sum_of(const GemmCall& call, const Tensors& t, std::int64_t row, std::int64_t col) {
  std::int64_t sum = 0;
  for (std::int64_t k = 0; k < call.a.depth(); ++k) {
    const std::int64_t at = element_offset(call.a, pixel_at(call.a, row), tap_at(call.a, k));
    if (at == AxisMap::kOutside) continue;
    const std::int64_t weight = element_offset(call.b, pixel_at(call.b, col), tap_at(call.b, k));
    sum += std::int64_t{t.x[static_cast<std::size_t>(at)]} * t.w[static_cast<std::size_t>(weight)];
  }
  return sum;
}

void run(benchmark::State& state, const std::string& isa, const Case& c) {
  const Forced forced(isa);
  Tensors t;
  const GemmCall call = convolution(c, t);
  const double seconds = run_timed(state, [&] { benchmark::DoNotOptimize(gemm(call)); });
  for (std::int64_t row = 0; row < call.out.rows; ++row) {  // one element of each pixel
    const std::int64_t col = row * 5 % call.out.cols;
    if (t.out[static_cast<std::size_t>(row * call.out.cols + col)] != sum_of(call, t, row, col)) {
      state.SkipWithError("wrong bits");
      return;
    }
  }
  count_macs(state, isa, static_cast<double>(call.out.rows * call.out.cols * call.a.depth()), seconds);
}

}  // namespace

void add_conv(const std::string& isa) {
  for (const Case& c : kCases) {
    const std::string shape = std::to_string(c.channels_in) + "to" + std::to_string(c.channels_out) + "_" +
                              std::to_string(c.size) + "x" + std::to_string(c.size) + "_stride" +
                              std::to_string(c.stride);
    benchmark::RegisterBenchmark(("conv/" + shape + "/" + isa).c_str(), [isa, c](benchmark::State& state) {
      run(state, isa, c);
    })->Unit(benchmark::kMillisecond);
  }
}

}  // namespace fxsim::bench
