#include "numbers/wide.hpp"

#include <vector>

#include "tests/cases.hpp"
#include "tests/catch.hpp"

namespace fxsim {
namespace {

constexpr int128 kMin128 = static_cast<int128>(uint128{1} << 127);

// Values of every length, both signs, with their neighbours.
std::vector<int128> values() {
  std::vector<int128> out{0};
  testing::Choices choose(1);
  for (int bit = 0; bit < 126; ++bit) {
    const int128 power = int128{1} << bit;
    for (const int128 v : {power - 1, power, power + 1}) out.insert(out.end(), {v, -v});
    const auto any = static_cast<int128>(uint128{choose.bits()} << 64 | choose.bits());
    out.push_back(any >> (126 - bit));
  }
  return out;
}

TEST_CASE("sums agree with 128-bit integers where those hold them") {
  for (const int128 a : values()) {
    for (const int128 b : values()) REQUIRE((Wide{a} + Wide{b} == Wide{a + b}));
  }
}

TEST_CASE("order agrees with 128-bit integers") {
  for (const int128 a : values()) {
    for (const int128 b : values()) {
      REQUIRE((Wide{a} < Wide{b}) == (a < b));
      REQUIRE((Wide{a} == Wide{b}) == (a == b));
    }
  }
}

TEST_CASE("right shifts are floors, beyond every bit too") {
  for (const int128 a : values()) {
    for (int shift = 0; shift < 128; ++shift) REQUIRE((Wide{a} >> shift == Wide{a >> shift}));
    for (const int shift : {128, 191, 192, 300, 511}) REQUIRE((Wide{a} >> shift == Wide{a < 0 ? -1 : 0}));
  }
}

TEST_CASE("left shifts multiply and come back") {
  for (const int128 a : values()) {
    for (const int shift : {0, 1, 63, 64, 65, 127, 128, 200, 256, 383}) {
      const Wide up = Wide{a} << shift;
      REQUIRE((up >> shift == Wide{a}));
      REQUIRE(up.negative() == (a < 0));
      if (shift > 0) REQUIRE((up == (Wide{a} << (shift - 1)) + (Wide{a} << (shift - 1))));
    }
  }
}

TEST_CASE("carries run through all limbs") {
  const Wide top = Wide{1} << 510;
  REQUIRE((top + Wide{-1} >> 509 == Wide{1}));
  REQUIRE((Wide{-1} + Wide{1} == Wide{0}));
  REQUIRE((top + Wide{-1} + Wide{1} == top));
  REQUIRE((Wide{kMin128} + Wide{kMin128} == Wide{-1} << 128));
}

}  // namespace
}  // namespace fxsim
