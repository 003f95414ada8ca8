// Words and their products in one call: by every path the same whether the words are kept or forgotten, for batches
// that groups of images do not divide.
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

struct Shape {
  std::int64_t images, size, channels, others;
};

// Images (n, y, x, c) that stand together, without their elements.
Operand images(const Shape& s, std::int64_t channels, const Format& format) {
  Operand o;
  o.format = format;
  o.pixels = {s.images, s.size, s.size};
  o.taps = {3, 3, channels};
  o.stride_n = s.size * s.size * channels;
  o.stride_y = s.size * channels;
  o.stride_x = channels;
  o.stride_c = 1;
  o.map_y = o.map_x = {1, 1, -1, 1, s.size};
  return o;
}

template <class Word>
std::vector<Word> some(Choices& choose, const Format& format, std::int64_t count) {
  std::vector<Word> words;
  for (std::int64_t i = 0; i < count; ++i) words.push_back(static_cast<Word>(choose.raw(format)));
  return words;
}

struct Results {
  std::vector<std::int64_t> y, gradient;

  bool operator==(const Results&) const = default;
};

// A convolution of words of floats, and a weight gradient that they are in.
template <class Word>
Results results(const Shape& s, const Format& format, std::vector<Word>* kept) {
  Choices choose(static_cast<std::uint64_t>(s.images + s.channels));
  const std::int64_t count = s.images * s.size * s.size;
  std::vector<float> in;
  for (std::int64_t i = 0; i < count * s.channels; ++i) in.push_back(static_cast<float>(choose.number(-90, 90)));
  const auto weight = some<std::int8_t>(choose, {8, 0, true}, s.others * 9 * s.channels);
  const auto other = some<std::int8_t>(choose, {8, 0, true}, count * s.others);

  QuantizeCall words;
  words.in = {in.data(), Storage::kFloat32, 1, {count * s.channels}, {1}};
  words.out = kept == nullptr ? nullptr : kept->data();
  words.out_storage = storage_of<Word>();
  words.quantizer = testing::quantizer(format, "stochastic", "saturate", 8);
  words.key = {3, 5};

  Results out{std::vector<std::int64_t>(static_cast<std::size_t>(count * s.others)),
              std::vector<std::int64_t>(static_cast<std::size_t>(s.channels * 9 * s.others))};
  std::vector<GemmCall> calls(2);
  for (GemmCall& call : calls) {
    call.a = images(s, s.channels, format);
    call.a.data = words.out;
    call.a.storage = words.out_storage;
    call.output = testing::quantizer({48, 0, true});
  }
  calls[0].b.pixels = {s.others, 1, 1};
  calls[0].b.taps = calls[0].a.taps;
  calls[0].b.stride_n = 9 * s.channels;
  calls[0].b.stride_y = 3 * s.channels;
  calls[0].b.stride_x = s.channels;
  calls[0].b.stride_c = 1;
  calls[0].b.map_y = calls[0].b.map_x = {0, 1, 0, 1, 3};
  calls[0].b.data = weight.data();
  calls[0].out = {out.y.data(), Storage::kInt64, count, s.others, s.others, 1};
  calls[1].a.taps = {1, 1, s.channels};
  calls[1].a.map_y = calls[1].a.map_x = {1, 0, 0, 1, s.size};
  calls[1].b = images(s, s.others, {8, 0, true});
  calls[1].b.data = other.data();
  calls[1].a.transposed = calls[1].b.transposed = true;
  calls[1].out = {out.gradient.data(), Storage::kInt64, s.channels, 9 * s.others, 9 * s.others, 1};
  for (GemmCall& call : calls) {
    call.b.format = {8, 0, true};
    call.b.storage = Storage::kInt8;
    call.index_row_stride = call.out.cols;
  }
  const std::vector<Events> events = quantize_gemms(words, calls);
  for (const Events& each : events) REQUIRE(!each.fault.found());
  return out;
}

template <class Word>
void check(const Shape& s, const Format& format) {
  std::vector<Word> kept(static_cast<std::size_t>(s.images * s.size * s.size * s.channels));
  const Results expected = testing::under("reference", [&] { return results<Word>(s, format, &kept); });
  for (const std::string& isa : available_isas()) {
    for (const int threads : {1, 3}) {
      set_num_threads(threads);
      std::vector<Word> own(kept.size());
      INFO(isa << " " << threads << " " << s.images << " " << s.size << " " << s.channels << " " << s.others);
      REQUIRE(testing::under(isa, [&] { return results<Word>(s, format, &own); }) == expected);
      REQUIRE(own == kept);
      REQUIRE(testing::under(isa, [&] { return results<Word>(s, format, nullptr); }) == expected);
      set_num_threads(1);
    }
  }
}

TEST_CASE("words that are kept and words that are forgotten have the same products") {
  for (const std::int64_t batch : {1, 2, 3, 4, 5, 7}) {
    check<std::int8_t>({batch, 4, 5, 3}, {8, 0, true});
    check<std::int16_t>({batch, 3, 8, 4}, {16, 0, true});
  }
}

TEST_CASE("so they have in several blocks of images") {
  check<std::int8_t>({9, 33, 17, 2}, {8, 0, true});
  check<std::int16_t>({6, 41, 16, 2}, {12, 0, true});
}

}  // namespace
}  // namespace fxsim
