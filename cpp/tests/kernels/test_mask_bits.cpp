// Masks of bits: stretches put side by side leave their neighbours alone, whatever stands beyond their ends.
#include "kernels/mask_bits.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tests/cases.hpp"
#include "tests/catch.hpp"

namespace fxsim {
namespace {

using testing::Choices;

bool bit_of(const std::vector<std::uint8_t>& mask, std::int64_t i) {
  return (mask[static_cast<std::size_t>(i / 8)] >> (i % 8) & 1) != 0;
}

TEST_CASE("stretches of bits put in any order make the mask that they are parts of") {
  constexpr std::int64_t kElements = 300;
  Choices choose(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::uint8_t> wanted(kElements);
    for (std::uint8_t& own : wanted) own = choose.between(0, 2) == 0 ? 1 : 0;
    std::vector<std::int64_t> ends = {0, kElements};
    while (ends.size() < 12) ends.push_back(choose.between(0, kElements));
    std::ranges::sort(ends);
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i + 1 < ends.size(); ++i) {
      order.insert(choose.between(0, 1) == 0 ? order.begin() : order.end(), i);
    }
    std::vector<std::uint8_t> mask(static_cast<std::size_t>(mask_bytes(kElements)));
    for (const std::size_t i : order) {
      const std::int64_t count = ends[i + 1] - ends[i];
      std::vector<std::uint8_t> bytes(static_cast<std::size_t>(ceil_div(count, std::int64_t{8}) * 8), 1);
      std::copy_n(wanted.begin() + ends[i], count, bytes.begin());
      std::vector<std::uint8_t> bits(bytes.size() / 8);
      bits_of_bytes(bytes.data(), count, bits.data());
      put_bits(bits.data(), count, mask.data(), ends[i]);
    }
    for (std::int64_t i = 0; i < kElements; ++i) {
      REQUIRE(bit_of(mask, i) == (wanted[static_cast<std::size_t>(i)] != 0));
      REQUIRE((mask_word(mask.data(), i / kMaskWord) >> (i % kMaskWord) & 1) == wanted[static_cast<std::size_t>(i)]);
    }
    for (std::int64_t i = kElements; i < 8 * mask_bytes(kElements); ++i) REQUIRE(!bit_of(mask, i));
    std::vector<std::uint8_t> bytes(kElements / 8 * 8);
    bytes_of_bits(mask.data(), kElements / 8 * 8, bytes.data());
    REQUIRE(std::equal(bytes.begin(), bytes.end(), wanted.begin()));
  }
}

TEST_CASE("what is cleared lies between the ends and where the mask says") {
  constexpr std::int64_t kElements = 200;
  std::vector<std::uint8_t> mask(static_cast<std::size_t>(mask_bytes(kElements)), 0);
  const std::uint8_t one = 1;
  for (std::int64_t i = 0; i < kElements; i += 3) put_bits(&one, 1, mask.data(), i);
  for (std::int64_t first = 0; first <= kElements; first += 7) {
    for (std::int64_t end = first; end <= kElements; end += 5) {
      std::vector<float> values(kElements, 1.0F);
      clear_where(values.data(), mask.data(), first, end);
      for (std::int64_t i = 0; i < kElements; ++i) {
        const bool cleared = i >= first && i < end && i % 3 == 0;
        REQUIRE(values[static_cast<std::size_t>(i)] == (cleared ? 0.0F : 1.0F));
      }
    }
  }
}

}  // namespace
}  // namespace fxsim
