#include "numbers/operand.hpp"

#include <vector>

#include "tests/catch.hpp"

namespace fxsim {
namespace {

TEST_CASE("an axis position is where the affine rule says, or outside") {
  const AxisMap forward{2, 3, -4, 1, 7};  // stride 2, dilation 3, padding 4
  const AxisMap backward{1, -3, 4, 2, 5};
  for (const AxisMap& map : {forward, backward}) {
    for (std::int64_t pixel = 0; pixel < 9; ++pixel) {
      for (std::int64_t tap = 0; tap < 5; ++tap) {
        std::int64_t expected = AxisMap::kOutside;
        for (std::int64_t at = 0; at < map.size; ++at) {
          if (at * map.div == pixel * map.pixel_mul + tap * map.tap_mul + map.offset) expected = at;
        }
        REQUIRE(map.position(pixel, tap) == expected);
      }
    }
  }
}

TEST_CASE("rows and k count through pixels and taps in the documented order") {
  Operand o;
  o.pixels = {2, 3, 4};
  o.taps = {3, 2, 5};
  REQUIRE(o.rows() == 24);
  REQUIRE(o.depth() == 30);
  o.transposed = true;
  REQUIRE(o.rows() == 30);
  REQUIRE(o.depth() == 24);

  std::int64_t i = 0;
  for (std::int64_t n = 0; n < 2; ++n) {
    for (std::int64_t y = 0; y < 3; ++y) {
      for (std::int64_t x = 0; x < 4; ++x, ++i) {
        const Pixel p = pixel_at(o, i);
        REQUIRE((p.n == n && p.y == y && p.x == x));
      }
    }
  }
  i = 0;
  for (std::int64_t y = 0; y < 3; ++y) {
    for (std::int64_t x = 0; x < 2; ++x) {
      for (std::int64_t c = 0; c < 5; ++c, ++i) {
        const Tap t = tap_at(o, i);
        REQUIRE((t.y == y && t.x == x && t.c == c));
      }
    }
  }
  o.channel_major = true;
  i = 0;
  for (std::int64_t c = 0; c < 5; ++c) {
    for (std::int64_t y = 0; y < 3; ++y) {
      for (std::int64_t x = 0; x < 2; ++x, ++i) {
        const Tap t = tap_at(o, i);
        REQUIRE((t.y == y && t.x == x && t.c == c));
      }
    }
  }
}

TEST_CASE("walks of a padded image find each element and each structural zero") {
  // One 3x3 image of two channels, kernel 2x2, padding 1, stride 1.
  Operand o;
  o.pixels = {1, 4, 4};
  o.taps = {2, 2, 2};
  o.stride_n = 18, o.stride_y = 6, o.stride_x = 2, o.stride_c = 1;
  o.map_y = {1, 1, -1, 1, 3};
  o.map_x = {1, 1, -1, 1, 3};
  std::vector<int> uses(18, 0);
  int zeros = 0;
  for (std::int64_t row = 0; row < o.rows(); ++row) {
    for (std::int64_t k = 0; k < o.depth(); ++k) {
      const std::int64_t at = element_offset(o, pixel_at(o, row), tap_at(o, k));
      if (at == AxisMap::kOutside) {
        ++zeros;
      } else {
        ++uses[static_cast<std::size_t>(at)];
      }
    }
  }
  REQUIRE(uses == std::vector<int>(18, 4));
  REQUIRE(zeros == 16 * 8 - 18 * 4);
}

}  // namespace
}  // namespace fxsim
