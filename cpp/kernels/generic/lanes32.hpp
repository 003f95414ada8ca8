// Rounding in 32-bit lanes without a branch, so that the compiler turns the loops into vector code of the instruction
// set it is told: sixteen lanes where 64-bit words have eight, and conversions that every instruction set has. Every
// ISA's translation unit includes this once; all of it has internal linkage (see lanes.hpp).
//
// A float times a power of two is exact while it is neither huge nor tiny: huge products become infinite and are cut
// off, tiny ones are looked for where the factor is below 1. Cutting off to +-top keeps a value on its side of every
// range it may be stored in (round32.hpp), and keeps a float's fraction too, for floats from 2^24 on have none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <tuple>

#include "kernels/isa/lanes32.hpp"

namespace fxsim::isa {
namespace {

// NaN becomes top. Each line is one instruction, which takes its second operand where the first is NaN; a bound that
// the compiler knew would make it think of branches.
template <class Value>
[[gnu::always_inline]] inline Value cut_off(Value scaled, Value top) {
  const Value lowered = scaled < top ? scaled : top;
  return lowered > -top ? lowered : -top;
}

[[gnu::always_inline]] inline float magnitude(float value) { return __builtin_fabsf(value); }
[[gnu::always_inline]] inline double magnitude(double value) { return __builtin_fabs(value); }

template <class Value>
[[gnu::always_inline]] inline std::uint32_t refused(Value scaled, Value limit) {
  return magnitude(scaled) <= limit ? 0 : 1;
}

template <class Value>
[[gnu::always_inline]] inline std::int32_t floor_of(Value value, std::int32_t truncated) {
  return truncated - (static_cast<Value>(truncated) > value ? 1 : 0);
}

template <class Rounding>
[[gnu::always_inline]] inline DrawIn<std::uint32_t> draw_of(const std::uint32_t* u, std::int64_t i, int bits) {
  if constexpr (kIsStochastic<Rounding>) return {u[i], bits};
  return {0, bits};
}

[[gnu::always_inline]] inline void count_one(std::int32_t rounded, bool off_grid, std::int32_t& inexact,
                                             std::int32_t& round_to_zero) {
  inexact += static_cast<std::int32_t>(off_grid);
  round_to_zero += rounded == 0 ? static_cast<std::int32_t>(off_grid) : 0;
}

template <class Rounding, bool kCounts>
[[gnu::always_inline]] inline std::int32_t finish(const Residue32& r, DrawIn<std::uint32_t> draw, std::int32_t& inexact,
                                                  std::int32_t& round_to_zero) {
  const std::int32_t rounded = r.floor + static_cast<std::int32_t>(Rounding::up(r, draw));
  if constexpr (kCounts) count_one(rounded, r.off_grid(), inexact, round_to_zero);
  return rounded;
}

// Integer and fraction in one word: the floor in units of 2^-bits. Modes that are no adder look at the last bit only to
// ask whether anything lies below the others, so what was dropped may be put in there.
template <class Rounding, bool kCounts>
bool round_short(const float* values, std::int64_t count, const Scale32& scale, const std::uint32_t* u,
                 std::int32_t* rounded, Counts32* counts) {
  const auto factor = static_cast<float>(scale.factor);
  const auto limit = static_cast<float>(scale.limit);
  const auto top = static_cast<float>(scale.top);
  const int bits = scale.bits;
  const int random_bits = scale.random_bits;
  std::uint32_t unfit = 0;
  std::int32_t inexact = 0, round_to_zero = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const float scaled = values[i] * factor;
    unfit |= refused(scaled, limit);
    const float cut = cut_off(scaled, top);
    const auto truncated = static_cast<std::int32_t>(cut);
    const std::int32_t floor = floor_of(cut, truncated);
    const DrawIn<std::uint32_t> draw = draw_of<Rounding>(u, i, random_bits);
    const bool follows = static_cast<float>(truncated) != cut;
    if constexpr (kIsAdder<Rounding>) {
      rounded[i] = (floor + static_cast<std::int32_t>(Rounding::addend(draw.u))) >> bits;
      if constexpr (kCounts) {
        const std::uint32_t fraction = static_cast<std::uint32_t>(floor) & ~(~std::uint32_t{0} << bits);
        count_one(rounded[i], (fraction != 0) | follows, inexact, round_to_zero);
      }
    } else {
      const std::uint32_t word = static_cast<std::uint32_t>(floor) | (follows ? 1U : 0U);
      const Residue32 r{.floor = static_cast<std::int32_t>(word) >> bits,
                        .top = word << (32 - bits),
                        .sticky = 0,
                        .negative = word >> 31};
      rounded[i] = finish<Rounding, kCounts>(r, draw, inexact, round_to_zero);
    }
  }
  if constexpr (kCounts) *counts = {inexact, round_to_zero};
  return unfit == 0;
}

// Integer and 31 bits of the fraction in a word each. What truncation leaves is exact; where it is negative, the first
// bit of its floor in units of 2^-31 is the step down to the integer's own floor.
template <class Value, class Rounding, bool kCounts>
bool round_split(const Value* values, std::int64_t count, const Scale32& scale, const std::uint32_t* u,
                 std::int32_t* rounded, Counts32* counts) {
  const auto factor = static_cast<Value>(scale.factor);
  const auto limit = static_cast<Value>(scale.limit);
  const auto top = static_cast<Value>(scale.top);
  const int random_bits = scale.random_bits;
  std::uint32_t unfit = 0;
  std::int32_t inexact = 0, round_to_zero = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const Value scaled = values[i] * factor;
    unfit |= refused(scaled, limit);
    const Value cut = cut_off(scaled, top);
    const auto whole = static_cast<std::int32_t>(cut);
    const Value rest = (cut - static_cast<Value>(whole)) * static_cast<Value>(0x1p31);
    const auto truncated = static_cast<std::int32_t>(rest);
    const std::int32_t fraction = floor_of(rest, truncated);
    const Residue32 r{.floor = whole + (fraction >> 31),
                      .top = static_cast<std::uint32_t>(fraction) << 1,
                      .sticky = static_cast<Value>(truncated) != rest ? 1U : 0U,
                      .negative = cut < 0 ? 1U : 0U};
    rounded[i] = finish<Rounding, kCounts>(r, draw_of<Rounding>(u, i, random_bits), inexact, round_to_zero);
  }
  if constexpr (kCounts) *counts = {inexact, round_to_zero};
  return unfit == 0;
}

template <class Rounding, bool kCounts>
bool round_words(const std::int32_t* values, std::int64_t count, const Scale32& scale, const std::uint32_t* u,
                 std::int32_t* rounded, Counts32* counts) {
  const int drop = scale.bits;
  const int random_bits = scale.random_bits;
  std::int32_t inexact = 0, round_to_zero = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto word = static_cast<std::uint32_t>(values[i]);
    const Residue32 r{
        .floor = values[i] >> drop, .top = drop == 0 ? 0 : word << (32 - drop), .sticky = 0, .negative = word >> 31};
    rounded[i] = finish<Rounding, kCounts>(r, draw_of<Rounding>(u, i, random_bits), inexact, round_to_zero);
  }
  if constexpr (kCounts) *counts = {inexact, round_to_zero};
  return true;
}

inline void lift_words(const std::int32_t* values, std::int64_t count, int up, std::int32_t most,
                       std::int32_t* rounded) {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int32_t lowered = values[i] < most ? values[i] : most;
    rounded[i] = (lowered > -most ? lowered : -most) << up;
  }
}

template <class Overflow, class Out>
void store_words(const std::int32_t* rounded, std::int64_t count, const Range32& range, double step, void* out,
                 std::int64_t at) {
  const Range32 own = range;
  Out* to = static_cast<Out*>(out) + at;
  if constexpr (static_cast<Out>(0.5) != 0) {
    const auto unit = static_cast<Out>(step);
    for (std::int64_t i = 0; i < count; ++i) to[i] = static_cast<Out>(Overflow::apply(rounded[i], own)) * unit;
  } else {
    for (std::int64_t i = 0; i < count; ++i) to[i] = static_cast<Out>(Overflow::apply(rounded[i], own));
  }
}

inline std::int64_t outside_words(const std::int32_t* rounded, std::int64_t count, std::int32_t low, std::int32_t high,
                                  std::uint8_t* mask) {
  std::int32_t found = 0;
  if (mask == nullptr) {
    for (std::int64_t i = 0; i < count; ++i) found += (rounded[i] < low) | (rounded[i] > high) ? 1 : 0;
    return found;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    const bool off_range = (rounded[i] < low) | (rounded[i] > high);
    mask[i] = off_range;
    found += off_range ? 1 : 0;
  }
  return found;
}

template <class Value>
bool vanishes(const Value* values, std::int64_t count, double factor) {
  const auto own = static_cast<Value>(factor);
  std::uint32_t found = 0;
  for (std::int64_t i = 0; i < count; ++i) found |= (values[i] != 0) & (values[i] * own == 0) ? 1 : 0;
  return found != 0;
}

template <class... R>
constexpr void fill_roundings(Lanes32& lanes, const std::tuple<R...>*) {
  std::size_t row = 0;
  ((lanes.short_floats[0][row] = &round_short<R, false>, lanes.short_floats[1][row] = &round_short<R, true>,
    lanes.floats[0][row] = &round_split<float, R, false>, lanes.floats[1][row] = &round_split<float, R, true>,
    lanes.doubles[0][row] = &round_split<double, R, false>, lanes.doubles[1][row] = &round_split<double, R, true>,
    lanes.integers[0][row] = &round_words<R, false>, lanes.integers[1][row] = &round_words<R, true>, ++row),
   ...);
}

template <class O, class... Out>
constexpr void fill_stores(Store32* row, const std::tuple<Out...>*) {
  std::size_t column = 0;
  ((row[column++] = &store_words<Stored<O>, Out>), ...);
}

template <class... O>
constexpr void fill_overflows(Lanes32& lanes, const std::tuple<O...>*) {
  std::size_t row = 0;
  (fill_stores<O>(lanes.store[row++], static_cast<const StorageTypes*>(nullptr)), ...);
}

constexpr Lanes32 make_lanes32() {
  Lanes32 lanes{};
  fill_roundings(lanes, static_cast<const Roundings*>(nullptr));
  fill_overflows(lanes, static_cast<const Overflows*>(nullptr));
  lanes.lift = &lift_words;
  lanes.outside = &outside_words;
  lanes.float_vanishes = &vanishes<float>;
  lanes.double_vanishes = &vanishes<double>;
  return lanes;
}

constexpr Lanes32 kLanes32 = make_lanes32();

}  // namespace
}  // namespace fxsim::isa
