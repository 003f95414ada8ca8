// The shapes and values at which a micro-kernel could be wrong: sides that do not fill its tile, the ends of the
// operands' ranges, and every mode of what follows. Each path is compared with the reference.
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

constexpr std::int64_t kSides[] = {1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 49, 63, 64, 65, 100};
constexpr std::int64_t kDepths[] = {1, 2, 3, 4, 5, 7, 8, 31, 32, 33, 63, 65, 127, 260};

// Two matrices in the narrowest storage, of random elements, or all at one end of the range.
void choose_operands(Choices& choose, Case& c, Format a, Format b) {
  const std::int64_t depth = choose.of(kDepths);
  c.call.a.format = a;
  c.call.b.format = b;
  for (Operand* o : {&c.call.a, &c.call.b}) o->storage = storage_for(choose, o->format);
  choose_matrix(choose, c.call.a, c.a, choose.of(kSides), depth);
  choose_matrix(choose, c.call.b, c.b, choose.of(kSides), depth);
  if (choose.chance(4)) {
    c.call.a.data = c.a.fill_with(choose.chance(2) ? a.raw_min() : a.raw_max(), c.call.a.storage);
    c.call.b.data = c.b.fill_with(choose.chance(2) ? b.raw_min() : b.raw_max(), c.call.b.storage);
  }
  c.call.key = {choose.bits(), choose.bits()};
  c.call.index_row_stride = c.call.b.rows();
  c.call.output.format = {64, a.fl + b.fl, true};
}

void compare(const Case& c) {
  INFO(c.call.a.format.text() << " x " << c.call.b.format.text() << ", " << c.call.a.rows() << " x " << c.call.b.rows()
                              << " x " << c.call.a.depth() << (c.call.count ? ", counted" : ""));
  const Output expected = run("reference", c);
  testing::for_each_path([&](const std::string& isa) {
    INFO(isa);
    const Output got = run(isa, c);
    if (c.call.count || expected.events.fault.found()) {
      require_same(got, expected);
    } else {
      REQUIRE(got.raw == expected.raw);
    }
  });
}

TEST_CASE("exact sums of operands of every width, at every edge of a tile") {
  Choices choose(40);
  for (int wl = 1; wl <= 32; ++wl) {
    for (int repeat = 0; repeat < 6; ++repeat) {
      Case c;
      const int other = choose.chance(2) ? wl : choose.number(1, 32);
      choose_operands(choose, c, {wl, 0, !choose.chance(3)}, {other, 0, !choose.chance(3)});
      c.call.count = choose.chance(2);
      compare(c);
    }
  }
}

TEST_CASE("registers that wrap, of every width") {
  Choices choose(41);
  for (int wl = 1; wl <= 64; ++wl) {
    Case c;
    choose_operands(choose, c, {choose.number(2, 16), 0, true}, {choose.number(2, 16), 0, !choose.chance(3)});
    c.call.accumulator.inner = quantizer({wl, 0, true}, "floor", "wrap");
    c.call.count = choose.chance(2);
    compare(c);
  }
}

TEST_CASE("registers that saturate after every step, of every width") {
  Choices choose(42);
  for (int wl = 2; wl <= 64; ++wl) {
    for (const int operand : {8, 8, 16, choose.number(2, 16)}) {
      Case c;
      choose_operands(choose, c, {operand, 2, !choose.chance(3)}, {operand, 1, !choose.chance(4)});
      const std::string_view overflows[] = {"saturate", "saturate_symmetric", "saturate_zero"};
      const bool is_signed = wl == 64 || !choose.chance(4);
      c.call.accumulator.inner = quantizer({wl, 3, is_signed}, "floor", choose.of(overflows));
      if (choose.chance(3)) {
        const Format bias{std::min(wl, 30), 3, is_signed};
        for (std::int64_t n = 0; n < c.call.b.rows(); ++n) c.bias.push_back(choose.raw(bias));
        c.call.bias = c.bias.data();
        c.call.bias_fl = 3;
        c.call.accumulator.preload = choose.chance(2);
      }
      c.call.count = choose.chance(2);
      compare(c);
    }
  }
}

TEST_CASE("every rounding and overflow mode of an output and of a register") {
  Choices choose(43);
  testing::for_each_mode([&](std::string_view rounding, std::string_view tail, std::string_view overflow) {
    for (const bool in_register : {false, true}) {
      Case c;
      choose_operands(choose, c, {8, 4, true}, {8, 4, true});
      const Quantizer q = quantizer({choose.number(6, 20), choose.number(2, 8), !choose.chance(4)}, rounding, overflow,
                                    choose.number(1, 32), tail);
      if (in_register) {
        c.call.accumulator.inner = q;
        c.call.accumulator.at_end = choose.chance(2);
        c.call.output.format.fl = q.format.fl;
      } else {
        c.call.output = q;
        c.call.output_rounds = true;
      }
      c.call.count = true;
      INFO(std::string(rounding) << " " << std::string(overflow) << " to " << q.format.text());
      compare(c);
    }
  });
}

}  // namespace
}  // namespace fxsim
