// Every path equals the reference, output by output and event by event, on random calls of every kind.
#include <limits>
#include <string>
#include <vector>

#include "kernels/api.hpp"
#include "tests/cases.hpp"
#include "tests/catch.hpp"
#include "tests/kernels/gemm_cases.hpp"

namespace fxsim {
namespace {

using testing::Case;
using testing::Choices;
using testing::choose_matrix;
using testing::Output;
using testing::quantizer;
using testing::require_same;
using testing::run;
using testing::storage_for;

// `error` has a test of its own.
constexpr std::string_view kQuietOverflows[] = {"saturate", "saturate_symmetric", "saturate_zero", "wrap"};

Format operand_format(Choices& choose) {
  const int widths[] = {1, 2, 4, 8, 8, 8, 12, 16, 16, 20, 24, 31, 32};
  return {choose.of(widths), choose.number(-3, 12), !choose.chance(3)};
}

Quantizer register_near(Choices& choose, int fl, int wl_low, int wl_high) {
  const bool is_signed = !choose.chance(5);
  const Format f{std::min(choose.number(wl_low, wl_high), is_signed ? 64 : 63), fl + choose.number(-6, 2), is_signed};
  const std::string_view rounding = choose.chance(3) ? "stochastic" : choose.of(testing::kDeterministic);
  return quantizer(f, rounding, choose.of(kQuietOverflows), choose.number(1, 32), choose.of(testing::kTails));
}

// A forward convolution: image (n, h, w, c) against weights (o, kh, kw, c).
void choose_convolution(Choices& choose, Case& c) {
  Operand& a = c.call.a;
  Operand& b = c.call.b;
  const std::int64_t n = choose.between(1, 3), h = choose.between(1, 7), w = choose.between(1, 7);
  const std::int64_t channels = choose.between(1, 9), kernel_y = choose.between(1, 3), kernel_x = choose.between(1, 3);
  const std::int64_t stride = choose.between(1, 2), dilation = choose.between(1, 2), padding = choose.between(2, 4);
  const std::int64_t out_y = (h + 2 * padding - dilation * (kernel_y - 1) - 1) / stride + 1;
  const std::int64_t out_x = (w + 2 * padding - dilation * (kernel_x - 1) - 1) / stride + 1;
  a.pixels = {n, out_y, out_x};
  a.taps = {kernel_y, kernel_x, channels};
  a.map_y = {stride, dilation, -padding, 1, h};
  a.map_x = {stride, dilation, -padding, 1, w};
  if (choose.chance(2)) {  // channels last, or planes
    a.stride_c = 1, a.stride_x = channels, a.stride_y = w * channels;
  } else {
    a.stride_x = 1, a.stride_y = w, a.stride_c = h * w;
  }
  a.stride_n = h * w * channels;
  a.data = c.a.fill(choose, a.format, n * h * w * channels, a.storage, 4);
  const std::int64_t filters = choose.between(1, 18);
  b.pixels = {filters, 1, 1};
  b.taps = a.taps;
  b.map_y = {0, 1, 0, 1, kernel_y};
  b.map_x = {0, 1, 0, 1, kernel_x};
  b.stride_n = kernel_y * kernel_x * channels, b.stride_y = kernel_x * channels, b.stride_x = channels, b.stride_c = 1;
  b.data = c.b.fill(choose, b.format, filters * b.stride_n, b.storage, 1000);
  a.channel_major = b.channel_major = choose.chance(3);
}

void choose_accumulator(Choices& choose, GemmCall& call) {
  Accumulator& acc = call.accumulator;
  const int product_wl = call.a.format.wl + call.b.format.wl;
  int fl = call.a.format.fl + call.b.format.fl;
  if (choose.chance(4)) {
    acc.product = register_near(choose, fl, 1, product_wl + 2);
    fl = acc.product->format.fl;
  }
  if (choose.chance(2)) {
    acc.inner = register_near(choose, fl, std::max(1, product_wl - 4), product_wl + 4);
    if (choose.chance(2)) acc.inner->format.fl = fl;
    fl = acc.inner->format.fl;
    acc.at_end = choose.chance(3);
    acc.lanes = choose.chance(2) ? 1 : choose.between(2, 9);
  }
  if (choose.chance(4)) {
    acc.chunk = choose.between(1, 12);
    if (choose.chance(2)) {
      acc.outer = register_near(choose, fl, std::max(1, product_wl - 4), product_wl + 6);
      fl = acc.outer->format.fl;
      acc.outer_at_end = choose.chance(3);
      acc.outer_lanes = choose.between(1, 3);
    }
  }
  call.bias_fl = fl + choose.number(-5, 5);
  acc.preload = choose.chance(2);
  call.output_rounds = choose.chance(2);
  if (call.output_rounds) {
    call.output = register_near(choose, fl, 1, 40);
  } else {
    call.output.format = {64, std::max(fl, call.bias == nullptr ? fl : call.bias_fl), true};
    if (call.accumulator.preload && call.bias != nullptr && (acc.chunk > 0 ? acc.outer : acc.inner)) {
      call.output.format.fl = fl;
    }
  }
}

void choose_case(Choices& choose, Case& c) {
  GemmCall& call = c.call;
  call.a.format = operand_format(choose);
  call.b.format = operand_format(choose);
  call.a.storage = storage_for(choose, call.a.format);
  call.b.storage = storage_for(choose, call.b.format);
  if (choose.chance(2)) {
    choose_convolution(choose, c);
  } else {
    const std::int64_t depth = choose.chance(12) ? 0 : choose.between(1, choose.chance(3) ? 300 : 40);
    choose_matrix(choose, call.a, c.a, choose.between(1, 37), depth);
    choose_matrix(choose, call.b, c.b, choose.between(1, 41), depth);
  }
  if (choose.chance(2)) {
    const Format bias_format{choose.number(1, 40), 0, true};
    for (std::int64_t n = 0; n < call.b.rows(); ++n) c.bias.push_back(choose.raw(bias_format));
    call.bias = c.bias.data();
  }
  choose_accumulator(choose, call);
  call.key = {choose.bits(), choose.bits()};
  call.index_base = choose.between(0, 1000);
  call.index_row_stride = call.b.rows() + choose.between(0, 3);
  call.count = true;
  c.gapless = choose.chance(2);
}

TEST_CASE("every path equals the reference on random calls") {
  Choices choose(20);
  for (int repeat = 0; repeat < 600; ++repeat) {
    Case c;
    choose_case(choose, c);
    INFO("case " << repeat << ": " << c.call.a.format.text() << " x " << c.call.b.format.text() << ", "
                 << c.call.a.rows() << " x " << c.call.b.rows() << " x " << c.call.a.depth());
    const Output expected = run("reference", c);
    testing::for_each_path([&](const std::string& isa) {
      INFO(isa);
      require_same(run(isa, c), expected);
    });
  }
}

TEST_CASE("uncounted calls write the same outputs") {
  Choices choose(21);
  for (int repeat = 0; repeat < 200; ++repeat) {
    Case c;
    choose_case(choose, c);
    const Output expected = run("reference", c);
    if (expected.events.fault.found()) continue;
    c.call.count = false;
    testing::for_each_path([&](const std::string& isa) { REQUIRE(run(isa, c).raw == expected.raw); });
  }
}

TEST_CASE("the extreme products of every width add up exactly") {
  for (const int wl : {8, 16, 24, 31, 32}) {
    for (const bool is_signed : {true, false}) {
      for (const std::int64_t depth : {1, 2, 63, 64, 65, 1000, 4099}) {
        const Format f{wl, 0, is_signed};
        const std::int64_t extreme = is_signed ? f.raw_min() : f.raw_max();
        const std::vector<std::int64_t> data(static_cast<std::size_t>(depth), extreme);
        Case c;
        for (Operand* o : {&c.call.a, &c.call.b}) {
          o->format = f;
          o->data = data.data();
          o->pixels = {1, 1, 1};
          o->taps = {1, 1, depth};
          o->stride_c = 1;
        }
        c.call.output.format = {64, 0, true};
        const int128 sum = static_cast<int128>(extreme) * extreme * depth;
        const bool fits = sum <= std::numeric_limits<std::int64_t>::max();
        for (const std::string& isa : available_isas()) {
          const Output out = run(isa, c);
          REQUIRE(out.events.fault.found() == !fits);
          if (fits) REQUIRE(out.raw[0] == static_cast<std::int64_t>(sum));
        }
      }
    }
  }
}

TEST_CASE("an error mode reports the first output and step, on every path") {
  Choices choose(22);
  int found = 0;
  for (int repeat = 0; repeat < 300; ++repeat) {
    Case c;
    choose_case(choose, c);
    for (std::optional<Quantizer>* q :
         {&c.call.accumulator.product, &c.call.accumulator.inner, &c.call.accumulator.outer}) {
      if (*q && choose.chance(2)) **q = quantizer((*q)->format, "floor", "error");
    }
    if (c.call.output_rounds) c.call.output = quantizer(c.call.output.format, "nearest_even", "error");
    const Output expected = run("reference", c);
    found += expected.events.fault.found();
    testing::for_each_path([&](const std::string& isa) {
      INFO(isa);
      require_same(run(isa, c), expected);
    });
  }
  REQUIRE(found > 50);
}

}  // namespace
}  // namespace fxsim
