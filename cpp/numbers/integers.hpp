// The machine integers the kernels compute with, and the few bit questions they ask of them.
#pragma once

#include <bit>
#include <cstdint>

namespace fxsim {

__extension__ using int128 = __int128;
__extension__ using uint128 = unsigned __int128;

// Bits of |value| between its highest and its lowest one: what a significand needs to hold it.
constexpr int significant_bits(std::int64_t value) {
  if (value == 0) return 0;
  const auto bits = static_cast<std::uint64_t>(value);
  const std::uint64_t magnitude = value < 0 ? ~bits + 1 : bits;
  return 64 - std::countl_zero(magnitude) - std::countr_zero(magnitude);
}

// ceil(log2(count)) for count >= 1; 0 for an empty sum.
constexpr int ceil_log2(std::int64_t count) {
  return count <= 1 ? 0 : 64 - std::countl_zero(static_cast<std::uint64_t>(count - 1));
}

constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

}  // namespace fxsim
