// The overflow modes: what becomes of a rounded integer that the format cannot hold, for integers of any size and for
// those of 32 bits.
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

// A format as 32-bit lanes see it: the part of its range that 32 bits can hold.
struct Range32 {
  std::int32_t lowest = 0;  // of what the mode stores
  std::int32_t low = 0;     // raw_min
  std::int32_t high = 0;    // raw_max
  std::uint32_t mask = 0;   // 2^wl - 1, or all bits
};

struct Saturate {
  static constexpr std::string_view name = "saturate";
  [[gnu::always_inline]] static constexpr std::int64_t apply(const Integer& v, const Format& f) {
    if (v.beyond != 0) return v.beyond < 0 ? f.raw_min() : f.raw_max();
    const std::int64_t raised = v.low < f.raw_min() ? f.raw_min() : v.low;
    return raised > f.raw_max() ? f.raw_max() : raised;
  }
  [[gnu::always_inline]] static constexpr std::int32_t apply(std::int32_t v, const Range32& r) {
    const std::int32_t raised = v < r.lowest ? r.lowest : v;
    return raised > r.high ? r.high : raised;
  }
};

struct SaturateSymmetric {
  static constexpr std::string_view name = "saturate_symmetric";
  [[gnu::always_inline]] static constexpr std::int64_t apply(const Integer& v, const Format& f) {
    const std::int64_t raw = Saturate::apply(v, f);
    return f.is_signed & (raw == f.raw_min()) ? -f.raw_max() : raw;
  }
  [[gnu::always_inline]] static constexpr std::int32_t apply(std::int32_t v, const Range32& r) {
    return Saturate::apply(v, r);  // the range starts at -raw_max
  }
};

struct SaturateZero {
  static constexpr std::string_view name = "saturate_zero";
  [[gnu::always_inline]] static constexpr std::int64_t apply(const Integer& v, const Format& f) {
    return outside(v, f) ? 0 : v.low;
  }
  [[gnu::always_inline]] static constexpr std::int32_t apply(std::int32_t v, const Range32& r) {
    return (v < r.low) | (v > r.high) ? 0 : v;
  }
};

struct Wrap {
  static constexpr std::string_view name = "wrap";
  [[gnu::always_inline]] static constexpr std::int64_t apply(const Integer& v, const Format& f) {
    return wrapped(v, f);
  }
  [[gnu::always_inline]] static constexpr std::int32_t apply(std::int32_t v, const Range32& r) {
    const auto low = static_cast<std::uint32_t>(r.low);
    return static_cast<std::int32_t>(((static_cast<std::uint32_t>(v) - low) & r.mask) + low);
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
