// GEMM calls for the tests: operands with their memory, and what a call gives on one path.
#pragma once

#include <string>
#include <vector>

#include "kernels/api.hpp"
#include "tests/cases.hpp"
#include "tests/catch.hpp"
#include "tests/kernels/paths.hpp"

namespace fxsim::testing {

// Elements of a matrix, in the narrowest type that holds the format or in a wider one, with gaps between the rows.
struct Data {
  std::vector<std::int8_t> s8;
  std::vector<std::int16_t> s16;
  std::vector<std::int32_t> s32;
  std::vector<std::int64_t> s64;

  const void* fill(Choices& choose, const Format& format, std::int64_t count, Storage storage, int zero_one_in) {
    s64.clear();
    for (std::int64_t i = 0; i < count; ++i) s64.push_back(choose.chance(zero_one_in) ? 0 : choose.raw(format));
    return in(storage);
  }

  // As many elements as before, all the same.
  const void* fill_with(std::int64_t value, Storage storage) {
    s64.assign(s64.size(), value);
    return in(storage);
  }

 private:
  const void* in(Storage storage) {
    const auto narrow = [this](auto& to) {
      to.clear();
      for (const std::int64_t v : s64) to.push_back(static_cast<typename std::decay_t<decltype(to)>::value_type>(v));
      return static_cast<const void*>(to.data());
    };
    switch (storage) {
      case Storage::kInt8: return narrow(s8);
      case Storage::kInt16: return narrow(s16);
      case Storage::kInt32: return narrow(s32);
      default: return s64.data();
    }
  }
};

inline Storage storage_for(Choices& choose, const Format& format) {
  std::vector<Storage> fits{Storage::kInt64};
  if (format.wl <= (format.is_signed ? 32 : 31)) fits.push_back(Storage::kInt32);
  if (format.wl <= (format.is_signed ? 16 : 15)) fits.push_back(Storage::kInt16);
  if (format.wl <= (format.is_signed ? 8 : 7)) fits.push_back(Storage::kInt8);
  return choose.chance(3) ? choose.of(fits) : fits.back();
}

struct Case {
  GemmCall call;
  Data a, b;
  std::vector<std::int64_t> bias;
  bool gapless = true;
};

inline void choose_matrix(Choices& choose, Operand& o, Data& data, std::int64_t rows, std::int64_t depth) {
  const std::int64_t pitch = depth + choose.number(0, 3);
  o.pixels = {rows, 1, 1};
  o.taps = {1, 1, depth};
  o.stride_n = pitch;
  o.stride_c = 1;
  o.data = data.fill(choose, o.format, rows * pitch + 1, o.storage, choose.chance(2) ? 3 : 1000);
}

struct Output {
  std::vector<std::int64_t> raw;
  Events events;
};

inline Output run(const std::string& isa, const Case& c) {
  GemmCall call = c.call;
  const std::int64_t rows = call.a.rows(), cols = call.b.rows();
  Output out;
  out.raw.assign(static_cast<std::size_t>(rows * (cols + 2) + 5), -77);
  call.out = {out.raw.data(), Storage::kInt64, rows, cols, c.gapless ? cols : cols + 2, 1};
  out.events = under(isa, [&call] { return gemm(call); });
  return out;
}

inline void require_same(const Output& got, const Output& expected) {
  REQUIRE(got.events.fault.index == expected.events.fault.index);
  if (expected.events.fault.found()) {  // nothing that was written counts
    REQUIRE(got.events.fault.phase == expected.events.fault.phase);
    REQUIRE(got.events.fault.k == expected.events.fault.k);
    REQUIRE(got.events.fault.value.low == expected.events.fault.value.low);
    REQUIRE(got.events.fault.value.beyond == expected.events.fault.value.beyond);
    return;
  }
  REQUIRE(got.raw == expected.raw);
  REQUIRE(got.events.product_overflows == expected.events.product_overflows);
  REQUIRE(got.events.step_overflows == expected.events.step_overflows);
  REQUIRE(got.events.outer_overflows == expected.events.outer_overflows);
  REQUIRE(got.events.preload_overflows == expected.events.preload_overflows);
  REQUIRE(got.events.output_overflows == expected.events.output_overflows);
  REQUIRE(got.events.inexact == expected.events.inexact);
  REQUIRE(got.events.round_to_zero == expected.events.round_to_zero);
  REQUIRE(got.events.random_draws == expected.events.random_draws);
  REQUIRE(got.events.inexact_carriers == expected.events.inexact_carriers);
}

}  // namespace fxsim::testing
