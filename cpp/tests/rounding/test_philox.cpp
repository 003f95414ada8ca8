#include "rounding/philox.hpp"

#include <set>
#include <vector>

#include "tests/cases.hpp"
#include "tests/catch.hpp"

namespace fxsim {
namespace {

// Random123's published known answers for philox4x32-10: zeros, ones, and digits of pi.
TEST_CASE("Philox known answers") {
  REQUIRE(philox4x32({0, 0, 0, 0}, 0, 0) == PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  constexpr std::uint32_t kOnes = 0xffffffff;
  REQUIRE(philox4x32({kOnes, kOnes, kOnes, kOnes}, kOnes, kOnes) ==
          PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  REQUIRE(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0xa4093822, 0x299f31d0) ==
          PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("an element's bits are the field that the specification names") {
  const Key key{0x0123456789abcdef, 0xfedcba9876543210};
  testing::Choices choose(2);
  for (int bits = 1; bits <= 32; ++bits) {
    const int m = bits <= 8 ? 16 : bits <= 16 ? 8 : 4;
    for (int repeat = 0; repeat < 50; ++repeat) {
      const std::int64_t i = choose.between(0, repeat < 25 ? 1000 : (std::int64_t{1} << 40) * m - 1);
      const auto site = static_cast<Site>(choose.number(0, 4));
      const std::int64_t t = choose.between(0, (std::int64_t{1} << 21) - 1);
      const std::int64_t q = i / (16 * m), p = i % (16 * m), b = 16 * q + p % 16, f = p / 16;
      const std::uint64_t block = static_cast<std::uint64_t>(b) + (static_cast<std::uint64_t>(t) << 40) +
                                  (static_cast<std::uint64_t>(site) << 61);
      const PhiloxBlock words = philox4x32(
          {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), 0x76543210, 0xfedcba98},
          0x89abcdef, 0x01234567);
      std::uint32_t expected = 0;  // bit by bit: the top `bits` of bits [f*128/m, (f+1)*128/m)
      for (int bit = 0; bit < bits; ++bit) {
        const std::int64_t at = (f + 1) * 128 / m - 1 - bit;
        expected = expected << 1 | (words[static_cast<std::size_t>(at / 32)] >> (at % 32) & 1);
      }
      REQUIRE(random_bits(key, i, bits, site, t) == expected);
    }
  }
}

TEST_CASE("filling a range gives each element its own bits, wherever the range starts") {
  const Key key{7, 9};
  testing::Choices choose(3);
  for (const int bits : {1, 8, 9, 16, 17, 32}) {
    for (const std::int64_t start : {0, 1, 15, 16, 63, 64, 255, 256, 1000}) {
      for (const std::int64_t count : {0, 1, 17, 64, 300, 700}) {
        std::vector<std::uint32_t> out(static_cast<std::size_t>(count) + 1, 0xdeadbeef);
        fill_random_bits(key, start, count, bits, Site::kOuterStep, 5, out.data());
        for (std::int64_t i = 0; i < count; ++i) {
          REQUIRE(out[static_cast<std::size_t>(i)] == random_bits(key, start + i, bits, Site::kOuterStep, 5));
        }
        REQUIRE(out.back() == 0xdeadbeef);
      }
    }
  }
}

TEST_CASE("seed, stream, site and ordinal each tell roundings apart") {
  std::set<std::uint32_t> seen;
  int draws = 0;
  for (const std::uint64_t high : {std::uint64_t{0}, std::uint64_t{1} << 32}) {
    for (const std::uint64_t seed : {0, 1}) {
      for (const std::uint64_t stream : {0, 1}) {
        for (int site = 0; site < 5; ++site) {
          for (const std::int64_t ordinal : {0, 1}) {
            seen.insert(random_bits({high + seed, high + stream}, 3, 32, static_cast<Site>(site), ordinal));
            ++draws;
          }
        }
      }
    }
  }
  REQUIRE(static_cast<int>(seen.size()) == draws);
}

}  // namespace
}  // namespace fxsim
