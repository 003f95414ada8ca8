#include "numbers/integers.hpp"

#include <limits>

#include "numbers/format.hpp"
#include "tests/catch.hpp"

namespace fxsim {
namespace {

constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

TEST_CASE("significant bits span from the highest to the lowest one") {
  REQUIRE(significant_bits(0) == 0);
  REQUIRE(significant_bits(1) == 1);
  REQUIRE(significant_bits(-1) == 1);
  REQUIRE(significant_bits(6) == 2);
  REQUIRE(significant_bits(-5) == 3);
  REQUIRE(significant_bits(kMax) == 63);
  REQUIRE(significant_bits(kMin) == 1);
  REQUIRE(significant_bits(kMin + 1) == 63);
}

TEST_CASE("ceil_log2 of counts") {
  REQUIRE(ceil_log2(0) == 0);
  REQUIRE(ceil_log2(1) == 0);
  REQUIRE(ceil_log2(2) == 1);
  REQUIRE(ceil_log2(3) == 2);
  for (int b = 2; b < 62; ++b) {
    REQUIRE(ceil_log2((std::int64_t{1} << b) - 1) == b);
    REQUIRE(ceil_log2(std::int64_t{1} << b) == b);
    REQUIRE(ceil_log2((std::int64_t{1} << b) + 1) == b + 1);
  }
}

TEST_CASE("the range of a format, up to the widest") {
  REQUIRE(Format{1, 0, true}.raw_min() == -1);
  REQUIRE(Format{1, 0, true}.raw_max() == 0);
  REQUIRE(Format{1, 0, false}.raw_max() == 1);
  REQUIRE(Format{8, 4, true}.raw_min() == -128);
  REQUIRE(Format{8, 4, true}.raw_max() == 127);
  REQUIRE(Format{8, 4, false}.raw_min() == 0);
  REQUIRE(Format{8, 4, false}.raw_max() == 255);
  REQUIRE(Format{64, 0, true}.raw_min() == kMin);
  REQUIRE(Format{64, 0, true}.raw_max() == kMax);
  REQUIRE(Format{63, 0, false}.raw_max() == kMax);
  REQUIRE(Format{8, -3, true}.text() == "<8,-3>");
  REQUIRE(Format{12, 16, false}.text() == "u<12,16>");
}

}  // namespace
}  // namespace fxsim
