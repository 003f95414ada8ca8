// Words counted as they are written: by every path, on any number of threads, what looking at each of them finds.
#include "kernels/word_counts.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/api.hpp"
#include "kernels/parallel.hpp"
#include "tests/cases.hpp"
#include "tests/catch.hpp"
#include "tests/kernels/paths.hpp"

namespace fxsim {
namespace {

using testing::Choices;

template <class Word>
void check(const WordCounts::Shape& shape, std::int64_t offset, int zeros_one_in) {
  const auto [images, height, width, channels] = shape;
  Choices choose(static_cast<std::uint64_t>(images * channels));
  std::vector<float> in;
  for (std::int64_t i = 0; i < images * height * width * channels; ++i) {
    in.push_back(choose.chance(zeros_one_in) ? 0.2F : static_cast<float>(choose.number(1, 100)));
  }
  QuantizeCall call;
  call.in = {in.data(),
             Storage::kFloat32,
             4,
             {images, height, width, channels},
             {height * width * channels, width * channels, channels, 1}};
  call.quantizer = testing::quantizer({8, 0, true}, "stochastic", "saturate", 8);
  call.key = {3, 5};
  call.index_offset = offset;
  call.count = true;
  for (const std::string& isa : available_isas()) {
    for (const int threads : {1, 3}) {
      set_num_threads(threads);
      std::vector<Word> plain(in.size()), room(in.size() + 64);
      Word* counted = room.data();
      while (reinterpret_cast<std::uintptr_t>(counted) % 64 != 0) ++counted;
      call.out_storage = storage_of<Word>();
      call.out = plain.data();
      call.words = nullptr;
      const Events expected = testing::under(isa, [&call] { return quantize(call); });
      WordCounts words(shape);
      call.out = counted;
      call.words = &words;
      const Events events = testing::under(isa, [&call] { return quantize(call); });
      set_num_threads(1);
      INFO(isa << " " << images << " " << height << " " << width << " " << channels);
      REQUIRE(std::equal(plain.begin(), plain.end(), counted));
      REQUIRE(events.inexact == expected.inexact);
      REQUIRE(events.round_to_zero == expected.round_to_zero);
      REQUIRE(events.random_draws == expected.random_draws);
      std::vector<std::uint32_t> places(words.places.size());
      std::vector<std::uint16_t> pixels(static_cast<std::size_t>(images * height * width));
      std::int64_t total = 0;
      for (std::size_t i = 0; i < plain.size(); ++i) {
        if (plain[i] == 0) continue;
        ++places[i % places.size()];
        ++pixels[i / static_cast<std::size_t>(channels)];
        ++total;
      }
      REQUIRE(words.places == places);
      REQUIRE(std::vector<std::uint16_t>(words.pixels.get(), words.pixels.get() + pixels.size()) == pixels);
      REQUIRE(words.total == total);
    }
  }
}

TEST_CASE("words of every storage are counted") {
  check<std::int8_t>({5, 3, 4, 16}, 0, 2);
  check<std::int16_t>({5, 3, 4, 8}, 0, 2);
  check<std::int32_t>({5, 3, 4, 3}, 7, 2);
  check<std::int64_t>({5, 3, 4, 32}, 1, 2);
}

TEST_CASE("bytes of pixels that fill vectors, and of some that do not") {
  for (const std::int64_t channels : {16, 32, 64}) {
    check<std::int8_t>({4, 3, 3, channels}, 0, 2);
    check<std::uint8_t>({2, 1, 300, channels}, 3, 2);
    check<std::int8_t>({256, 1, 5, channels}, 0, 1000);
  }
}

TEST_CASE("more images than a byte counts, and channels of any number") {
  check<std::int8_t>({255, 1, 2, 64}, 0, 1000);
  check<std::int8_t>({256, 1, 2, 24}, 0, 1000);
  check<std::int8_t>({700, 2, 1, 5}, 3, 1000);
  check<std::int16_t>({3, 1, 3, 255}, 0, 1000);
  check<std::int8_t>({3, 1, 3, 4096}, 0, 1000);
  check<std::int8_t>({2, 2, 1, 5000}, 0, 1000);
}

TEST_CASE("words that are too large for the caches") {
  check<std::int8_t>({67, 32, 32, 16}, 0, 3);
  check<std::int8_t>({67, 32, 32, 16}, 5, 3);
  check<std::int32_t>({90, 33, 31, 3}, 0, 3);
}

TEST_CASE("images of more words than a task takes at once") {
  check<std::int8_t>({3, 47, 31, 37}, 0, 3);
  check<std::int8_t>({2, 1, 3, 40000}, 0, 3);
}

}  // namespace
}  // namespace fxsim
