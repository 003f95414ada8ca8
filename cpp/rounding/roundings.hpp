// The rounding modes. Each is one yes/no question: given what lies above the floor, step up? The answer, 1 or 0, is as
// good as random, so it is computed without branches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <tuple>

#include "rounding/residue.hpp"

namespace fxsim {

// The random integer U of stochastic rounding, uniform over `bits` bits.
struct Draw {
  std::uint64_t u = 0;
  int bits = 16;
};

struct Floor {
  static constexpr std::string_view name = "floor";
  [[gnu::always_inline]] static constexpr std::uint64_t up(const Residue&, Draw) { return 0; }
};
struct Ceil {
  static constexpr std::string_view name = "ceil";
  [[gnu::always_inline]] static constexpr std::uint64_t up(const Residue& r, Draw) { return r.off_grid(); }
};
struct TowardZero {
  static constexpr std::string_view name = "zero";
  [[gnu::always_inline]] static constexpr std::uint64_t up(const Residue& r, Draw) { return r.negative & r.off_grid(); }
};
struct AwayFromZero {
  static constexpr std::string_view name = "away";
  [[gnu::always_inline]] static constexpr std::uint64_t up(const Residue& r, Draw) {
    return (r.negative ^ 1) & r.off_grid();
  }
};
struct NearestUp {
  static constexpr std::string_view name = "nearest_up";
  [[gnu::always_inline]] static constexpr std::uint64_t up(const Residue& r, Draw) { return r.half(); }
};
struct NearestDown {
  static constexpr std::string_view name = "nearest_down";
  [[gnu::always_inline]] static constexpr std::uint64_t up(const Residue& r, Draw) { return r.half() & r.off_tie(); }
};
struct NearestZero {
  static constexpr std::string_view name = "nearest_zero";
  [[gnu::always_inline]] static constexpr std::uint64_t up(const Residue& r, Draw) {
    return r.half() & (r.negative | r.off_tie());
  }
};
struct NearestAway {
  static constexpr std::string_view name = "nearest_away";
  [[gnu::always_inline]] static constexpr std::uint64_t up(const Residue& r, Draw) {
    return r.half() & ((r.negative ^ 1) | r.off_tie());
  }
};
struct NearestEven {
  static constexpr std::string_view name = "nearest_even";
  [[gnu::always_inline]] static constexpr std::uint64_t up(const Residue& r, Draw) {
    return r.half() & (r.odd() | r.off_tie());
  }
};
struct NearestOdd {
  static constexpr std::string_view name = "nearest_odd";
  [[gnu::always_inline]] static constexpr std::uint64_t up(const Residue& r, Draw) {
    return r.half() & ((r.odd() ^ 1) | r.off_tie());
  }
};

// Stochastic rounding: U is added to the first `bits` bits of the fraction and the carry decides. The tails differ
// in what becomes of the fraction's bits below those.
struct StochasticTruncate {
  static constexpr std::string_view name = "stochastic";
  static constexpr std::string_view tail = "truncate";
  [[gnu::always_inline]] static constexpr std::uint64_t up(const Residue& r, Draw d) {
    return ((r.top >> (64 - d.bits)) + d.u) >> d.bits;
  }
};
struct StochasticHalf {
  static constexpr std::string_view name = "stochastic";
  static constexpr std::string_view tail = "half";
  // d 2^r + U + 1/2 >= 2^r with U an integer: floor(d 2^r + 1/2) takes the place of the fraction.
  [[gnu::always_inline]] static constexpr std::uint64_t up(const Residue& r, Draw d) {
    const std::uint64_t rounded = (r.top >> (64 - d.bits)) + (r.top >> (63 - d.bits) & 1);
    return (rounded + d.u) >> d.bits;
  }
};
struct StochasticNearestEven {
  static constexpr std::string_view name = "stochastic";
  static constexpr std::string_view tail = "nearest_even";
  // The first bit not kept, and whether anything follows it or the kept part is odd.
  [[gnu::always_inline]] static constexpr std::uint64_t up(const Residue& r, Draw d) {
    const std::uint64_t kept = r.top >> (64 - d.bits);
    const std::uint64_t rest = r.top << d.bits;
    const std::uint64_t carry = rest >> 63 & ((rest << 1 | r.sticky | (kept & 1)) != 0 ? 1 : 0);
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

}  // namespace fxsim
