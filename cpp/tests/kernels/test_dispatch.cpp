#include "kernels/dispatch.hpp"

#include <algorithm>

#include "tests/catch.hpp"

namespace fxsim {
namespace {

TEST_CASE("every available path can be forced, and nothing else") {
  const auto names = available_isas();
  REQUIRE(std::find(names.begin(), names.end(), "reference") != names.end());
  REQUIRE(std::find(names.begin(), names.end(), "portable") != names.end());
  for (const std::string& name : names) {
    REQUIRE(force_isa(name));
    REQUIRE(active_isa() == name);
  }
  REQUIRE(!force_isa("mmx"));
  REQUIRE(active_isa() == names.back());
  REQUIRE(force_isa(""));
  REQUIRE(active_isa() != "reference");
}

}  // namespace
}  // namespace fxsim
