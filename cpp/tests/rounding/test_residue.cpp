#include "rounding/residue.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "tests/cases.hpp"
#include "tests/catch.hpp"

namespace fxsim {
namespace {

// How far beyond 64 bits is cut, and not at the same place for every width; on which side is what counts.
int side(const Integer& v) { return v.beyond < 0 ? -1 : v.beyond > 0 ? 1 : 0; }
bool same(const Integer& a, const Integer& b) { return a.low == b.low && side(a) == side(b); }

bool same(const Residue& a, const Residue& b) {
  return same(a.floor, b.floor) && a.top == b.top && a.sticky == b.sticky && a.negative == b.negative;
}

bool on_grid(const Residue& r) { return r.top == 0 && !r.sticky; }
bool at_least_half(const Residue& r) { return (r.top >> 63) != 0; }
bool exactly_half(const Residue& r) { return r.top == std::uint64_t{1} << 63 && !r.sticky; }

std::vector<std::int64_t> values() {
  std::vector<std::int64_t> out{0, std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()};
  testing::Choices choose(4);
  for (int bit = 0; bit < 63; ++bit) {
    const std::int64_t power = std::int64_t{1} << bit;
    out.insert(out.end(), {power, -power, power - 1, 1 - power, power + 1, -1 - power});
    out.push_back(static_cast<std::int64_t>(choose.bits()) >> bit);
  }
  return out;
}

TEST_CASE("small drops by definition: floor, then the fraction's bits from the top") {
  for (std::int64_t v = -300; v <= 300; ++v) {
    for (int drop = 1; drop <= 12; ++drop) {
      const std::int64_t unit = std::int64_t{1} << drop;
      std::int64_t floor = v / unit;
      if (floor * unit > v) --floor;
      const Residue r = residue_of(v, drop);
      REQUIRE(same(r.floor, {floor, 0}));
      REQUIRE(r.top == static_cast<std::uint64_t>(v - floor * unit) << (64 - drop));
      REQUIRE(!r.sticky);
      REQUIRE(r.negative == (v < 0));
      REQUIRE(exactly_half(r) == (2 * (v - floor * unit) == unit));
      REQUIRE(at_least_half(r) == (2 * (v - floor * unit) >= unit));
    }
  }
}

TEST_CASE("the three integer widths see the same residue, whatever is dropped") {
  for (const std::int64_t v : values()) {
    for (int drop = 0; drop <= 300; drop += drop < 135 ? 1 : 33) {
      const Residue expected = residue_of(Wide{v}, drop);
      REQUIRE(same(residue_of(v, drop), expected));
      REQUIRE(same(residue_of(int128{v}, drop), expected));
    }
  }
}

TEST_CASE("bits below the 64th of the fraction are sticky, not lost") {
  const Residue half = residue_of(int128{1} << 99, 100);
  REQUIRE(exactly_half(half));
  const Residue above = residue_of((int128{1} << 99) + 1, 100);
  REQUIRE(at_least_half(above));
  REQUIRE(!exactly_half(above));
  const Residue below = residue_of((int128{1} << 99) - 1, 100);
  REQUIRE(!at_least_half(below));
  REQUIRE(!on_grid(below));
  const Residue minus = residue_of(std::int64_t{-1}, 200);  // -2^-200: just below 0
  REQUIRE(same(minus.floor, {-1, 0}));
  REQUIRE(minus.top == ~std::uint64_t{0});
  REQUIRE(minus.sticky);
}

TEST_CASE("scaling up leaves no fraction, and says on which side a value left 64 bits") {
  for (const std::int64_t v : values()) {
    for (int shift = 0; shift <= 384; shift += shift < 130 ? 1 : 61) {
      const Residue r = residue_scaled_up(v, shift);
      REQUIRE(on_grid(r));
      if (shift < 440) REQUIRE(same(r.floor, to_integer(Wide{v} << shift)));
      REQUIRE(same(residue_scaled_up(int128{v}, shift), r));
    }
  }
}

TEST_CASE("doubles are significands times powers of two") {
  for (const double v : {0.0, 1.0, -1.0, 0.1, -0.1, 1.5, 2.5, 3.141592653589793, 1e300, -1e300, 5e-324, -5e-324, 1e-310,
                         2.2250738585072014e-308, 9007199254740993.0, -0.75}) {
    int exponent = 0;
    const double fraction = std::frexp(v, &exponent);
    const auto significand = static_cast<std::int64_t>(std::ldexp(fraction, 53));
    for (const int scale : {-192, -60, -1, 0, 1, 8, 52, 53, 64, 192}) {
      REQUIRE(same(scaled_residue(v, scale), scaled_residue(significand, exponent - 53 + scale)));
    }
  }
}

TEST_CASE("a negative zero is zero, infinities lie beyond") {
  REQUIRE(same(scaled_residue(-0.0, 10), Residue{}));
  const double infinity = std::numeric_limits<double>::infinity();
  REQUIRE(scaled_residue(infinity, -192).floor.beyond > 0);
  REQUIRE(scaled_residue(-infinity, 0).floor.beyond < 0);
}

TEST_CASE("the next integer, across the ends of 64 bits") {
  constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  REQUIRE(same(Integer{-1, 0}.stepped(true), {0, 0}));
  REQUIRE(same(Integer{kMax, 0}.stepped(true), {kMin, 1}));   // 2^63
  REQUIRE(same(Integer{kMax, -1}.stepped(true), {kMin, 0}));  // -2^63 - 1 steps into the range
  REQUIRE(same(Integer{kMax, 0}.stepped(false), {kMax, 0}));
  REQUIRE(same(Integer{5, 1}.stepped(true), {6, 1}));
}

}  // namespace
}  // namespace fxsim
