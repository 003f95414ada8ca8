// Carriers side by side, which go other ways by their size, against carriers one by one.
#include "kernels/generic/store.hpp"

#include <bit>
#include <cstdint>
#include <limits>
#include <vector>

#include "tests/cases.hpp"
#include "tests/catch.hpp"

namespace fxsim {
namespace {

using testing::Choices;

void require_same_carriers(const std::vector<std::int64_t>& raw, int fl) {
  const auto count = static_cast<std::int64_t>(raw.size());
  std::vector<float> one_by_one(raw.size(), -1.0F), together(raw.size(), -1.0F);
  const std::int64_t touched = generic::store_carriers(raw.data(), count, fl, one_by_one.data(), 1);
  REQUIRE(generic::store_floats(raw.data(), count, fl, together.data()) == touched);
  for (std::size_t i = 0; i < raw.size(); ++i) {
    REQUIRE(std::bit_cast<std::uint32_t>(together[i]) == std::bit_cast<std::uint32_t>(one_by_one[i]));
  }
}

TEST_CASE("carriers of integers next to where other ways begin") {
  for (const int bits : {0, 23, 24, 25, 50, 51, 52, 62}) {
    const std::int64_t power = std::int64_t{1} << bits;
    for (const std::int64_t off : {-3, -2, -1, 0, 1, 2, 3}) {
      require_same_carriers({power + off, 0}, 4);
      require_same_carriers({0, -power - off}, 4);
    }
  }
  require_same_carriers({std::numeric_limits<std::int64_t>::min()}, 0);
  require_same_carriers({std::numeric_limits<std::int64_t>::max()}, 0);
}

TEST_CASE("carriers of any number of integers of any width") {
  Choices choose(11);
  for (int run = 0; run < 2000; ++run) {
    std::vector<std::int64_t> raw(static_cast<std::size_t>(choose.between(0, 200)));
    const auto kept = choose.number(1, 63);
    for (std::int64_t& value : raw) value = static_cast<std::int64_t>(choose.bits()) >> kept;
    require_same_carriers(raw, choose.number(-40, 40));
  }
}

}  // namespace
}  // namespace fxsim
