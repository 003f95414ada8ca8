// The rounding modes. Each is one yes/no question: given what lies above the floor, step up? The answer, 1 or 0, is as
// good as random, so it is computed without branches, in words as wide as the residue's.
//
// Some are an adder as well: keep the first `bits` bits of the fraction (none unless stochastic) and kBelow more, drop
// the rest, add `addend` to the last bit kept, take the floor. And some are a direction in which machines convert
// numbers to integers. Short lanes go these ways where there is one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <tuple>

#include "rounding/residue.hpp"

namespace fxsim {

// The random integer U of stochastic rounding, uniform over `bits` bits.
template <class Word>
struct DrawIn {
  Word u = 0;
  int bits = 16;
};
using Draw = DrawIn<std::uint64_t>;

enum class Direction : std::uint8_t { kDown, kUp, kZero, kEven };

struct Floor {
  static constexpr std::string_view name = "floor";
  [[gnu::always_inline]] static constexpr auto up(const auto&, auto) { return 0U; }

  static constexpr int kBelow = 0;
  [[gnu::always_inline]] static constexpr auto addend(auto) { return 0U; }
  static constexpr Direction direction = Direction::kDown;
};
struct Ceil {
  static constexpr std::string_view name = "ceil";
  [[gnu::always_inline]] static constexpr auto up(const auto& r, auto) { return r.off_grid(); }
  static constexpr Direction direction = Direction::kUp;
};
struct TowardZero {
  static constexpr std::string_view name = "zero";
  [[gnu::always_inline]] static constexpr auto up(const auto& r, auto) { return r.negative & r.off_grid(); }
  static constexpr Direction direction = Direction::kZero;
};
struct AwayFromZero {
  static constexpr std::string_view name = "away";
  [[gnu::always_inline]] static constexpr auto up(const auto& r, auto) { return (r.negative ^ 1) & r.off_grid(); }
};
struct NearestUp {
  static constexpr std::string_view name = "nearest_up";
  [[gnu::always_inline]] static constexpr auto up(const auto& r, auto) { return r.half(); }

  static constexpr int kBelow = 1;
  [[gnu::always_inline]] static constexpr auto addend(auto) { return 1U; }
};
struct NearestDown {
  static constexpr std::string_view name = "nearest_down";
  [[gnu::always_inline]] static constexpr auto up(const auto& r, auto) { return r.half() & r.off_tie(); }
};
struct NearestZero {
  static constexpr std::string_view name = "nearest_zero";
  [[gnu::always_inline]] static constexpr auto up(const auto& r, auto) { return r.half() & (r.negative | r.off_tie()); }
};
struct NearestAway {
  static constexpr std::string_view name = "nearest_away";
  [[gnu::always_inline]] static constexpr auto up(const auto& r, auto) {
    return r.half() & ((r.negative ^ 1) | r.off_tie());
  }
};
struct NearestEven {
  static constexpr std::string_view name = "nearest_even";
  [[gnu::always_inline]] static constexpr auto up(const auto& r, auto) { return r.half() & (r.odd() | r.off_tie()); }
  static constexpr Direction direction = Direction::kEven;
};
struct NearestOdd {
  static constexpr std::string_view name = "nearest_odd";
  [[gnu::always_inline]] static constexpr auto up(const auto& r, auto) {
    return r.half() & ((r.odd() ^ 1) | r.off_tie());
  }
};

// Stochastic rounding: U is added to the first `bits` bits of the fraction and the carry decides. The tails differ
// in what becomes of the fraction's bits below those.
struct StochasticTruncate {
  static constexpr std::string_view name = "stochastic";
  static constexpr std::string_view tail = "truncate";
  [[gnu::always_inline]] static constexpr auto up(const auto& r, auto d) {
    return ((r.top >> (r.kBits - d.bits)) + d.u) >> d.bits;
  }

  static constexpr int kBelow = 0;
  [[gnu::always_inline]] static constexpr auto addend(auto u) { return u; }
};
struct StochasticHalf {
  static constexpr std::string_view name = "stochastic";
  static constexpr std::string_view tail = "half";
  // d 2^r + U + 1/2 >= 2^r with U an integer: floor(d 2^r + 1/2) takes the place of the fraction.
  [[gnu::always_inline]] static constexpr auto up(const auto& r, auto d) {
    const auto rounded = (r.top >> (r.kBits - d.bits)) + (r.top >> (r.kBits - 1 - d.bits) & 1);
    return (rounded + d.u) >> d.bits;
  }

  static constexpr int kBelow = 1;
  [[gnu::always_inline]] static constexpr auto addend(auto u) { return 2 * u + 1; }
};
struct StochasticNearestEven {
  static constexpr std::string_view name = "stochastic";
  static constexpr std::string_view tail = "nearest_even";
  // The first bit not kept, and whether anything follows it or the kept part is odd.
  [[gnu::always_inline]] static constexpr auto up(const auto& r, auto d) {
    const auto kept = r.top >> (r.kBits - d.bits);
    const auto rest = r.top << d.bits;
    const auto carry = rest >> (r.kBits - 1) & ((rest << 1 | r.sticky | (kept & 1)) != 0 ? 1U : 0U);
    return (kept + carry + d.u) >> d.bits;
  }
};

using Roundings = std::tuple<Floor, Ceil, TowardZero, AwayFromZero, NearestUp, NearestDown, NearestZero, NearestAway,
                             NearestEven, NearestOdd, StochasticTruncate, StochasticHalf, StochasticNearestEven>;

inline constexpr std::size_t kRoundings = std::tuple_size_v<Roundings>;

template <class R>
inline constexpr bool kIsStochastic = requires {
  R::tail;
};

template <class R>
inline constexpr bool kIsConversion = requires {
  R::direction;
};

template <class R>
inline constexpr bool kIsAdder = requires {
  R::kBelow;
};

}  // namespace fxsim
