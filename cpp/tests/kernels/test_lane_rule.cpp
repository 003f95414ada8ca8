// A rounding as an addend equals the rounding itself, on every sum of some bits.
#include <cstdint>
#include <string_view>

#include "kernels/steps/lane_rule.hpp"
#include "rounding/apply.hpp"
#include "tests/cases.hpp"
#include "tests/catch.hpp"

namespace fxsim {
namespace {

std::int64_t by_addend(const isa::LaneRule& rule, std::int64_t sum, std::uint32_t u) {
  std::int64_t addend = rule.base;
  if (sum < 0) addend += rule.negative;
  if ((sum & rule.odd_bit) != 0) addend += rule.odd;
  addend += static_cast<std::int64_t>(std::uint64_t{u} << rule.draw_left >> rule.draw_right);
  return ((sum + addend) & rule.keep) >> rule.drop;
}

void require_equal_on_all_sums(const Quantizer& q, int drop, std::uint32_t u) {
  const isa::LaneRule rule = steps::lane_rule(q, drop);
  for (std::int64_t sum = -600; sum <= 600; ++sum) {
    std::int64_t raw = 0;
    BlockTally tally;
    block_function<std::int64_t>(q)(&sum, 1, -drop, q, &u, &raw, nullptr, tally);
    INFO("drop " << drop << ", sum " << sum << ", u " << u);
    REQUIRE(by_addend(rule, sum, u) == raw);
  }
}

TEST_CASE("every deterministic rounding is its addend") {
  for (const std::string_view name : testing::kDeterministic) {
    for (int drop = 0; drop <= 12; ++drop) {
      require_equal_on_all_sums(testing::quantizer({32, 0, true}, name, "saturate"), drop, 0);
    }
  }
}

TEST_CASE("stochastic rounding is its addend, for all tails and random integers") {
  for (const std::string_view tail : testing::kTails) {
    for (const int bits : {1, 2, 4}) {
      const Quantizer q = testing::quantizer({32, 0, true}, "stochastic", "saturate", bits, tail);
      for (int drop = 1; drop <= 9; ++drop) {  // where none is dropped, nothing is drawn
        for (std::uint32_t u = 0; u < std::uint32_t{1} << bits; ++u) require_equal_on_all_sums(q, drop, u);
      }
    }
    const Quantizer wide = testing::quantizer({32, 0, true}, "stochastic", "saturate", 32, tail);
    for (const std::uint32_t u : {0U, 1U, 0x7FFFFFFFU, 0x80000000U, 0xFFFFFFFFU}) require_equal_on_all_sums(wide, 7, u);
  }
}

}  // namespace
}  // namespace fxsim
