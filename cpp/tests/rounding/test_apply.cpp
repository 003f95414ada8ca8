#include "rounding/apply.hpp"

#include <string>
#include <vector>

#include "tests/cases.hpp"
#include "tests/catch.hpp"

namespace fxsim {
namespace {

using testing::quantizer;

struct Result {
  std::int64_t raw;
  BlockTally tally;
  std::uint8_t clipped;
};

template <class V>
Result apply(V value, int scale, const Quantizer& q, std::uint32_t u = 0) {
  Result r{};
  block_function<V>(q)(&value, 1, scale, q, &u, &r.raw, &r.clipped, r.tally);
  return r;
}

// floor(v / 2^drop) + up, decided from the remainder alone: the table of the specification, written out once more.
std::int64_t rounded(std::string_view mode, std::int64_t v, int drop) {
  const std::int64_t unit = std::int64_t{1} << drop;
  const std::int64_t rest = (v % unit + unit) % unit;
  const std::int64_t floor = (v - rest) / unit;
  const bool n = v < 0, odd = floor % 2 != 0;
  const bool some = rest > 0, g = 2 * rest >= unit, tie = 2 * rest == unit;
  bool up = false;
  if (mode == "ceil") up = some;
  if (mode == "zero") up = n && some;
  if (mode == "away") up = !n && some;
  if (mode == "nearest_up") up = g;
  if (mode == "nearest_down") up = g && !tie;
  if (mode == "nearest_zero") up = tie ? n : g;
  if (mode == "nearest_away") up = tie ? !n : g;
  if (mode == "nearest_even") up = tie ? odd : g;
  if (mode == "nearest_odd") up = tie ? !odd : g;
  return floor + (up ? 1 : 0);
}

TEST_CASE("every deterministic rounding on every eighth between -8 and 8") {
  for (const std::string_view mode : testing::kDeterministic) {
    const Quantizer q = quantizer({16, 0, true}, mode);
    for (std::int64_t v = -64; v <= 64; ++v) {
      const std::int64_t expected = rounded(mode, v, 3);
      INFO(std::string(mode) << " of " << v << "/8");
      const Result r = apply(v, -3, q);
      REQUIRE(r.raw == expected);
      REQUIRE(r.tally.inexact == (v % 8 != 0));
      REQUIRE(r.tally.round_to_zero == (v != 0 && expected == 0));
      REQUIRE(apply(int128{v}, -3, q).raw == expected);
      REQUIRE(apply(Wide{v}, -3, q).raw == expected);
      REQUIRE(apply(static_cast<double>(v), -3, q).raw == expected);
      REQUIRE(apply(0.125 * static_cast<double>(v), 0, q).raw == expected);
    }
  }
}

TEST_CASE("a stochastic rounding steps up for as many U as the fraction says") {
  constexpr int kBits = 6;
  for (const std::string_view tail : testing::kTails) {
    const Quantizer q = quantizer({16, 0, true}, "stochastic", "saturate", kBits, tail);
    for (const int drop : {2, 6, 8}) {
      const std::int64_t unit = std::int64_t{1} << drop;
      for (std::int64_t v = -2 * unit; v <= 2 * unit; ++v) {
        std::int64_t ups = 0;
        const std::int64_t rest = (v % unit + unit) % unit;
        const std::int64_t floor = (v - rest) / unit;
        for (std::uint32_t u = 0; u < 1U << kBits; ++u) ups += apply(v, -drop, q, u).raw - floor;
        // d * 2^kBits = rest * 2^kBits / unit, brought to an integer by the tail.
        const std::int64_t scaled = rest << kBits;
        std::int64_t expected = scaled / unit;
        if (rest != 0 && tail == "half") expected = (2 * scaled + unit) / (2 * unit);
        if (rest != 0 && tail == "nearest_even") expected = rounded("nearest_even", scaled, drop);
        INFO(std::string(tail) << ", " << v << " / " << unit);
        REQUIRE(ups == expected);
      }
    }
  }
}

TEST_CASE("every overflow mode on every value around a small format") {
  for (const bool is_signed : {true, false}) {
    for (int wl = 1; wl <= 4; ++wl) {
      const Format f{wl, 0, is_signed};
      const std::int64_t lo = f.raw_min(), hi = f.raw_max(), span = std::int64_t{1} << wl;
      for (std::int64_t v = -40; v <= 40; ++v) {
        const bool out = v < lo || v > hi;
        const std::int64_t nearest = v < lo ? lo : v > hi ? hi : v;
        const std::int64_t symmetric = is_signed && nearest == lo ? -hi : nearest;
        const std::int64_t wrapped = (v - lo) % span < 0 ? (v - lo) % span + span + lo : (v - lo) % span + lo;
        const auto check = [&](std::string_view mode, std::int64_t expected) {
          const Result r = apply(v, 0, quantizer(f, "nearest_even", mode));
          INFO(std::string(mode) << " of " << v << " in " << f.text());
          REQUIRE(r.raw == expected);
          REQUIRE(r.tally.overflows == (expected != v));
          REQUIRE(r.tally.clipped == out);
          REQUIRE((r.clipped != 0) == out);
          REQUIRE((r.tally.first_outside == 0) == out);
        };
        check("saturate", nearest);
        check("saturate_symmetric", symmetric);
        check("saturate_zero", out ? 0 : v);
        check("wrap", wrapped);
      }
    }
  }
}

TEST_CASE("the rounding carry overflows") {
  const Format f{4, 0, true};
  REQUIRE(apply(std::int64_t{15}, -1, quantizer(f)).raw == 7);  // 7.5 to 8, saturated
  REQUIRE(apply(std::int64_t{15}, -1, quantizer(f, "nearest_even", "wrap")).raw == -8);
  REQUIRE(apply(std::int64_t{15}, -1, quantizer(f, "nearest_even", "saturate_zero")).raw == 0);
  REQUIRE(apply(std::int64_t{15}, -1, quantizer(f, "floor")).tally.overflows == 0);
}

TEST_CASE("values far beyond 64 bits wrap and saturate as the mathematical integer does") {
  const Format f{8, 0, true};
  const Wide huge = (Wide{1} << 300) + Wide{-3};
  REQUIRE(apply(huge, 0, quantizer(f)).raw == 127);
  REQUIRE(apply(huge, 0, quantizer(f, "floor", "wrap")).raw == -3);
  REQUIRE(apply(-1e300, 0, quantizer(f)).raw == -128);
  REQUIRE(apply(-1e300, 0, quantizer(f, "floor", "wrap")).raw == 0);
  REQUIRE(apply(9007199254740993.0 * 2, 0, quantizer({64, 0, true})).raw == 18014398509481984);
}

TEST_CASE("all value types, all modes, random values: one result") {
  testing::Choices choose(5);
  testing::for_each_mode([&](std::string_view rounding, std::string_view tail, std::string_view overflow) {
    for (int repeat = 0; repeat < 200; ++repeat) {
      const bool is_signed = !choose.chance(3);
      const Format f{choose.number(1, is_signed ? 64 : 63), 0, is_signed};
      const Quantizer q = quantizer(f, rounding, overflow, choose.number(1, 32), tail);
      const auto u = static_cast<std::uint32_t>(choose.bits() >> (64 - q.random_bits));
      const std::int64_t v = choose.raw({choose.number(1, 54), 0, true});  // a double holds it
      const int scale = choose.number(-70, 70);
      const Result expected = apply(Wide{v}, scale, q, u);
      for (const Result& r :
           {apply(v, scale, q, u), apply(int128{v}, scale, q, u), apply(static_cast<double>(v), scale, q, u)}) {
        INFO(std::string(rounding) << " " << std::string(overflow) << " " << v << " * 2^" << scale << " into "
                                   << f.text());
        REQUIRE(r.raw == expected.raw);
        REQUIRE(r.clipped == expected.clipped);
        REQUIRE(r.tally.overflows == expected.tally.overflows);
        REQUIRE(r.tally.inexact == expected.tally.inexact);
        REQUIRE(r.tally.round_to_zero == expected.tally.round_to_zero);
        REQUIRE(r.tally.first_outside == expected.tally.first_outside);
        REQUIRE(r.raw >= f.raw_min());
        REQUIRE(r.raw <= f.raw_max());
      }
    }
  });
}

TEST_CASE("a block is its elements one by one") {
  testing::Choices choose(6);
  testing::for_each_mode([&](std::string_view rounding, std::string_view tail, std::string_view overflow) {
    const Quantizer q = quantizer({6, 0, true}, rounding, overflow, 16, tail);
    std::vector<std::int64_t> values(67);
    std::vector<std::uint32_t> u(67);
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = choose.between(-400, 400);
      u[i] = static_cast<std::uint32_t>(choose.bits() & 0xffff);
    }
    std::vector<std::int64_t> raw(67);
    std::vector<std::uint8_t> clipped(67);
    BlockTally tally, sum;
    block_function<std::int64_t>(q)(values.data(), 67, -3, q, u.data(), raw.data(), clipped.data(), tally);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Result one = apply(values[i], -3, q, u[i]);
      REQUIRE(raw[i] == one.raw);
      REQUIRE(clipped[i] == one.clipped);
      sum.overflows += one.tally.overflows;
      sum.inexact += one.tally.inexact;
      sum.round_to_zero += one.tally.round_to_zero;
      sum.clipped += one.tally.clipped;
      if (sum.first_outside < 0 && one.clipped != 0) sum.first_outside = static_cast<std::int64_t>(i);
    }
    REQUIRE(tally.overflows == sum.overflows);
    REQUIRE(tally.inexact == sum.inexact);
    REQUIRE(tally.round_to_zero == sum.round_to_zero);
    REQUIRE(tally.clipped == sum.clipped);
    REQUIRE(tally.first_outside == sum.first_outside);
  });
}

TEST_CASE("names find modes, unknown names find none") {
  REQUIRE(find_rounding("floor", "truncate"));
  REQUIRE(find_rounding("stochastic", "half"));
  REQUIRE(find_rounding("stochastic", "half") != find_rounding("stochastic", "truncate"));
  REQUIRE(!find_rounding("stochastic", "quarter"));
  REQUIRE(!find_rounding("round", "truncate"));
  REQUIRE(find_overflow("wrap"));
  REQUIRE(!find_overflow("WRAP"));
}

}  // namespace
}  // namespace fxsim
