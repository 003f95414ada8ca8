// The overflow modes: what becomes of a rounded integer that the format cannot hold.
//
// Always inlined: the block functions of apply.cpp are so many that the compiler would stop inlining by itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "numbers/format.hpp"
#include "rounding/residue.hpp"

namespace fxsim {

[[gnu::always_inline]] constexpr bool outside(const Integer& v, const Format& f) {
  return (v.beyond != 0) | (v.low < f.raw_min()) | (v.low > f.raw_max());
}

// The last `wl` bits of v, read in the format's signedness.
[[gnu::always_inline]] constexpr std::int64_t wrapped(const Integer& v, const Format& f) {
  const auto bits = static_cast<std::uint64_t>(v.low) << (64 - f.wl);
  return f.is_signed ? static_cast<std::int64_t>(bits) >> (64 - f.wl) : static_cast<std::int64_t>(bits >> (64 - f.wl));
}

struct Saturate {
  static constexpr std::string_view name = "saturate";
  [[gnu::always_inline]] static constexpr std::int64_t apply(const Integer& v, const Format& f) {
    if (v.beyond != 0) return v.beyond < 0 ? f.raw_min() : f.raw_max();
    const std::int64_t raised = v.low < f.raw_min() ? f.raw_min() : v.low;
    return raised > f.raw_max() ? f.raw_max() : raised;
  }
};

struct SaturateSymmetric {
  static constexpr std::string_view name = "saturate_symmetric";
  [[gnu::always_inline]] static constexpr std::int64_t apply(const Integer& v, const Format& f) {
    const std::int64_t raw = Saturate::apply(v, f);
    return f.is_signed & (raw == f.raw_min()) ? -f.raw_max() : raw;
  }
};

struct SaturateZero {
  static constexpr std::string_view name = "saturate_zero";
  [[gnu::always_inline]] static constexpr std::int64_t apply(const Integer& v, const Format& f) {
    return outside(v, f) ? 0 : v.low;
  }
};

struct Wrap {
  static constexpr std::string_view name = "wrap";
  [[gnu::always_inline]] static constexpr std::int64_t apply(const Integer& v, const Format& f) {
    return wrapped(v, f);
  }
};

// The value is reported by the caller; what is stored meanwhile is never seen, so Stored gives it no loops of its own.
struct Error {
  static constexpr std::string_view name = "error";
};

template <class O>
using Stored = std::conditional_t<std::is_same_v<O, Error>, Saturate, O>;

using Overflows = std::tuple<Saturate, SaturateSymmetric, SaturateZero, Wrap, Error>;

inline constexpr std::size_t kOverflows = std::tuple_size_v<Overflows>;

}  // namespace fxsim
