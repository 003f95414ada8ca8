// Images side by side, on every instruction set with copies of its own: each byte where it belongs, and none beyond.
#include "kernels/isa/copies.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/dispatch.hpp"
#include "kernels/isa/list.hpp"
#include "tests/cases.hpp"
#include "tests/catch.hpp"

namespace fxsim {
namespace {

using testing::Choices;

constexpr std::int64_t kMost = 200, kApart = kMost + 3;
constexpr std::uint32_t kUntouched = 0xA5A5A5A5;

template <class F>
void for_each_copies(const F& f) {
  const std::vector<std::string> available = available_isas();
  for (const isa::Isa& own : isa::kIsas) {
    const bool here = std::find(available.begin(), available.end(), own.name) != available.end();
    if (here && own.kernels != nullptr && own.kernels->bytes != nullptr) f(*own.kernels->bytes->copies);
  }
}

template <class Word>
std::vector<Word> any_words() {
  Choices choose(3);
  std::vector<Word> words(static_cast<std::size_t>(4 * kApart));
  for (Word& word : words) word = static_cast<Word>(choose.bits());
  return words;
}

// Byte q of group i is f(q, i); what lies beyond the last group was not touched.
template <class F>
void require_groups(const std::vector<std::uint32_t>& groups, std::int64_t count, const F& f) {
  for (std::int64_t i = 0; i < count; ++i) {
    for (int q = 0; q < 4; ++q) REQUIRE((groups[static_cast<std::size_t>(i)] >> 8 * q & 0xFF) == f(q, i));
  }
  for (auto i = static_cast<std::size_t>(count); i < groups.size(); ++i) REQUIRE(groups[i] == kUntouched);
}

TEST_CASE("bytes of four images, joined") {
  const auto bytes = any_words<std::uint8_t>();
  for_each_copies([&](const isa::Copies& copies) {
    for (const auto flip : {std::uint8_t{0}, std::uint8_t{0x80}}) {
      for (std::int64_t count = 0; count <= kMost; ++count) {
        std::vector<std::uint32_t> groups(static_cast<std::size_t>(kMost + 20), kUntouched);
        copies.join(bytes.data(), kApart, count, flip, groups.data());
        require_groups(groups, count, [&](int q, std::int64_t i) {
          return static_cast<std::uint32_t>(bytes[static_cast<std::size_t>(q * kApart + i)] ^ flip);
        });
      }
    }
  });
}

TEST_CASE("words of four images, split into low bytes and high ones") {
  const auto words = any_words<std::int16_t>();
  const auto word = [&](int q, std::int64_t i) {
    return static_cast<std::uint16_t>(words[static_cast<std::size_t>(q * kApart + i)]);
  };
  for_each_copies([&](const isa::Copies& copies) {
    for (std::int64_t channels = 1; channels <= kMost; ++channels) {
      for (std::int64_t pixels = 0; pixels * channels <= kMost && pixels < 6; ++pixels) {
        const std::int64_t pitch = channels + 2;
        std::vector<std::uint32_t> low(static_cast<std::size_t>(pixels * pitch + 40), kUntouched), high = low;
        copies.split(words.data(), kApart, channels, pixels, low.data(), high.data(), pitch);
        for (std::int64_t x = 0; x <= pixels; ++x) {
          const auto of_pixel = [&](const std::vector<std::uint32_t>& groups) {
            const auto first = groups.begin() + x * pitch;
            return std::vector<std::uint32_t>(first, first + (x < pixels ? pitch : 40));
          };
          const std::int64_t count = x < pixels ? channels : 0, first = x * channels;
          require_groups(of_pixel(low), count,
                         [&](int q, std::int64_t i) { return (word(q, first + i) & 0xFFU) ^ 0x80U; });
          require_groups(of_pixel(high), count,
                         [&](int q, std::int64_t i) { return static_cast<std::uint32_t>(word(q, first + i) >> 8); });
        }
      }
    }
  });
}

}  // namespace
}  // namespace fxsim
