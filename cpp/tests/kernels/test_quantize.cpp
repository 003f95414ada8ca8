// Every path of quantize and requantize equals the reference, for every storage and layout.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/api.hpp"
#include "tests/cases.hpp"
#include "tests/catch.hpp"
#include "tests/kernels/paths.hpp"

namespace fxsim {
namespace {

using testing::Choices;
using testing::quantizer;

struct Output {
  std::vector<std::int64_t> raw;
  std::vector<std::uint8_t> clipped;
  Events events;
};

Output run(const std::string& isa, QuantizeCall call, bool count = true) {
  Output out;
  const auto size = static_cast<std::size_t>(call.in.size());
  out.raw.assign(size + 1, -77);
  out.clipped.assign(size + 1, 7);
  call.out = out.raw.data();
  call.out_storage = Storage::kInt64;
  call.count = count;
  call.clipped = out.clipped.data();
  out.events = testing::under(isa, [&call] { return quantize(call); });
  return out;
}

void require_same(const Output& got, const Output& expected) {
  REQUIRE(got.events.fault.index == expected.events.fault.index);
  REQUIRE(got.events.fault.phase == expected.events.fault.phase);
  if (expected.events.fault.found()) return;
  REQUIRE(got.raw == expected.raw);
  REQUIRE(got.clipped == expected.clipped);
  REQUIRE(got.events.output_overflows == expected.events.output_overflows);
  REQUIRE(got.events.inexact == expected.events.inexact);
  REQUIRE(got.events.round_to_zero == expected.events.round_to_zero);
  REQUIRE(got.events.random_draws == expected.events.random_draws);
  REQUIRE(got.events.clipped == expected.events.clipped);
}

// Floats of all magnitudes around the format's, with ties, zeros and now and then something that is no number.
template <class T>
T choose_float(Choices& choose, int fl, bool special) {
  if (special && choose.chance(40)) {
    const T specials[] = {std::numeric_limits<T>::infinity(), -std::numeric_limits<T>::infinity(),
                          std::numeric_limits<T>::quiet_NaN()};
    return choose.of(specials);
  }
  const T forms[] = {
      T{0},
      -T{0},
      std::numeric_limits<T>::denorm_min(),
      std::numeric_limits<T>::max(),
      static_cast<T>(std::ldexp(static_cast<T>(choose.between(-2000, 2000)), -fl - 1)),
      static_cast<T>(std::ldexp(static_cast<T>(choose.between(-1 << 20, 1 << 20)), -fl - 9)),
      static_cast<T>(std::ldexp(static_cast<T>(choose.between(-1 << 20, 1 << 20)), choose.number(-60, 40)))};
  return choose.of(forms);
}

template <class T>
void check_floats(std::uint64_t seed, Storage storage) {
  Choices choose(seed);
  testing::for_each_mode([&](std::string_view rounding, std::string_view tail, std::string_view overflow) {
    for (int repeat = 0; repeat < 6; ++repeat) {
      const bool is_signed = !choose.chance(3);
      const Format f{choose.number(1, choose.chance(2) ? 10 : is_signed ? 64 : 63), choose.number(-8, 20), is_signed};
      QuantizeCall call;
      call.quantizer = quantizer(f, rounding, overflow, choose.number(1, 32), tail);
      call.key = {choose.bits(), choose.bits()};
      call.index_offset = choose.between(0, 500);
      const std::int64_t rows = choose.between(1, 9), cols = choose.between(1, 130), pitch = cols + choose.number(0, 2);
      std::vector<T> data;
      const bool special = choose.chance(2);
      for (std::int64_t i = 0; i < rows * pitch; ++i) data.push_back(choose_float<T>(choose, f.fl, special));
      call.in = {data.data(), storage, 2, {rows, cols}, {pitch, 1}};
      if (choose.chance(3)) call.in = {data.data(), storage, 2, {cols, rows}, {1, pitch}};
      INFO(std::string(rounding) << " " << std::string(overflow) << " " << f.text() << " " << rows << " x " << cols);
      const Output expected = run("reference", call);
      testing::for_each_path([&](const std::string& isa) { require_same(run(isa, call), expected); });
    }
  });
}

// Every value at the ends of the range and one step beyond, alone in a block whose others are inside.
TEST_CASE("one value at the end of the range, or just beyond it, wherever it stands") {
  testing::for_each_mode([&](std::string_view rounding, std::string_view tail, std::string_view overflow) {
    for (const Format& f : {Format{8, 2, true}, Format{7, 0, false}, Format{1, 0, true}, Format{26, 3, true}}) {
      QuantizeCall call;
      call.quantizer = quantizer(f, rounding, overflow, 8, tail);
      const double step = std::ldexp(1.0, -f.fl);
      std::vector<float> data(2100);
      for (const double end : {static_cast<double>(f.raw_min()), static_cast<double>(f.raw_max())}) {
        for (const double raw : {end - 1.0, end - 0.5, end, end + 0.5, end + 1.0, end * 64.0, end * 0x1p40, HUGE_VAL,
                                 -HUGE_VAL, std::nan("")}) {
          for (const std::size_t at : {0U, 1023U, 1040U, 2099U}) {
            data.assign(data.size(), 0.0F);
            data[at] = static_cast<float>(raw * step);
            call.in = {data.data(), Storage::kFloat32, 1, {static_cast<std::int64_t>(data.size())}, {1}};
            INFO(std::string(rounding) << " " << std::string(overflow) << " " << f.text() << " " << raw << " at "
                                       << at);
            const Output expected = run("reference", call);
            testing::for_each_path([&](const std::string& isa) {
              require_same(run(isa, call), expected);
              if (expected.events.fault.found()) return;
              const Output uncounted = run(isa, call, false);
              REQUIRE(uncounted.raw == expected.raw);
              REQUIRE(uncounted.clipped == expected.clipped);
            });
          }
        }
      }
    }
  });
}

TEST_CASE("quantize of float32") { check_floats<float>(30, Storage::kFloat32); }
TEST_CASE("quantize of float64") { check_floats<double>(31, Storage::kFloat64); }

TEST_CASE("requantize of integers") {
  Choices choose(32);
  testing::for_each_mode([&](std::string_view rounding, std::string_view tail, std::string_view overflow) {
    for (int repeat = 0; repeat < 10; ++repeat) {
      const bool is_signed = !choose.chance(3);
      const Format f{choose.number(1, is_signed ? 64 : 63), choose.number(-100, 100), is_signed};
      QuantizeCall call;
      call.quantizer = quantizer(f, rounding, overflow, choose.number(1, 32), tail);
      call.key = {choose.bits(), choose.bits()};
      call.fl = choose.chance(3) ? choose.number(-192, 192) : f.fl + choose.number(-10, 10);
      const Format from{choose.number(1, 64), 0, true};
      std::vector<std::int64_t> data;
      for (int i = 0; i < 200; ++i) data.push_back(choose.raw(from));
      call.in = {data.data(), Storage::kInt64, 3, {4, 5, 10}, {50, 1, 5}};
      INFO(std::string(rounding) << " " << std::string(overflow) << " fl " << call.fl << " to " << f.text());
      const Output expected = run("reference", call);
      testing::for_each_path([&](const std::string& isa) { require_same(run(isa, call), expected); });
    }
  });
}

TEST_CASE("a carrier is raw * 2^-fl, and conversions that round are counted") {
  const std::vector<std::int64_t> data{0, 1, -1, (1 << 24) + 1, (1 << 24) + 2, -(1 << 25) - 1, 1 << 30};
  std::vector<float> out(data.size(), -1.0F);
  QuantizeCall call;
  call.in = {data.data(), Storage::kInt64, 1, {7}, {1}};
  call.fl = 3;
  call.quantizer = quantizer({32, 3, true});
  call.out_storage = Storage::kFloat32;
  call.count = true;
  for (const std::string& isa : available_isas()) {
    call.out = out.data();
    const Events events = testing::under(isa, [&call] { return quantize(call); });
    REQUIRE(events.inexact_carriers == 2);
    REQUIRE(out == std::vector<float>{0.0F, 0.125F, -0.125F, 2097152.0F, 2097152.25F, -4194304.0F, 134217728.0F});
  }
}

}  // namespace
}  // namespace fxsim
