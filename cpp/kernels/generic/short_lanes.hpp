// Words of floats (lanes32.hpp) for instruction sets whose conversions to integers round as they are told, and mark
// what does not fit. Ops names the instructions. Internal linkage throughout (see lanes.hpp).
//
// The product is exact, so a conversion in the direction of a mode that is one is that mode: it rounds the very number
// that is to be rounded, once. For adders it is the floor in units of 2^-bits.
#pragma once

#include <cstdint>

#include "kernels/generic/lanes32.hpp"

namespace fxsim::isa {
namespace {

// Counts of vectors of rounded values, lane by lane, for instruction sets that compare to lanes.
template <class Ops>
struct LaneCounts {
  using Words = typename Ops::Words;

  Words inexact{}, round_to_zero{};

  // The number of the vector; where a and b differ, the values were not on the grid.
  template <class Floats>
  void add(std::int64_t, Floats a, Floats b, Words rounded) {
    const Words differ = Ops::differ(a, b);
    inexact -= differ;
    round_to_zero -= differ & reinterpret_cast<Words>(rounded == 0);
  }

  void sum(std::int64_t, Counts32& counts) const {
    for (int lane = 0; lane < Ops::kLanes; ++lane) {
      counts.inexact += inexact[lane];
      counts.round_to_zero += round_to_zero[lane];
    }
  }
};

inline bool are_inside(const std::int32_t* rounded, std::int64_t count, const Inside32& inside) {
  std::uint32_t any = 0;
  for (std::int64_t i = 0; i < count; ++i) any |= static_cast<std::uint32_t>(rounded[i]) + inside.offset;
  return (any & inside.beyond) == 0;
}

inline bool are_below(const std::int32_t* rounded, std::int64_t count, std::int32_t limit) {
  std::uint32_t any = 0;
  for (std::int64_t i = 0; i < count; ++i) any |= (rounded[i] >= limit) | (rounded[i] <= -limit) ? 1 : 0;
  return any == 0;
}

template <class Words>
bool any_bit_of(Words v, std::uint32_t mask) {
  constexpr int kLanes = sizeof(Words) / sizeof(std::uint32_t);
  std::uint32_t any = 0;
  for (int lane = 0; lane < kLanes; ++lane) any |= v[lane];
  return (any & mask) != 0;
}

// The mark for "does not fit" and integers from 2^30 on are refused. They are looked for after the rounding, where one
// was found that is not inside: no shift brings them below 2^30 shifted as far. What is added to the others fits.
template <class Ops, class Rounding, bool kCounts>
bool convert_short(const float* values, std::int64_t count, const Scale32& scale, const std::uint32_t* u,
                   std::int32_t* rounded, Counts32* counts) {
  using Words = typename Ops::Words;
  const int bits = scale.bits;
  constexpr bool kConverts = kIsConversion<Rounding>;
  const auto factor = Ops::broadcast(static_cast<float>(kConverts ? scale.factor / (1 << bits) : scale.factor));
  const std::uint32_t integer = ~std::uint32_t{0} << bits;
  Words beyond{};
  typename Ops::Counts tally;
  std::int64_t i = 0;
  for (; i + Ops::kLanes <= count; i += Ops::kLanes) {
    __builtin_prefetch(values + i + kBlock32, 0, 2);
    const auto scaled = Ops::multiply(values + i, factor);
    Words words;
    if constexpr (kConverts) {
      words = Ops::template integers<Rounding::direction>(scaled);
    } else {
      words = Ops::template integers<Direction::kDown>(scaled);
    }
    Words whole = words;
    if constexpr (!kConverts) {
      Words draw{};
      if constexpr (kIsStochastic<Rounding>) draw = Ops::load(u + i);
      whole = words & integer;
      words = Ops::shift(words + Rounding::addend(draw), bits);
    }
    if constexpr (kCounts) tally.add(i / Ops::kLanes, scaled, Ops::floats(whole), words);
    beyond |= words + scale.inside.offset;
    Ops::store(rounded + i, words);
  }
  const std::uint32_t* draws = kIsStochastic<Rounding> ? u + i : u;
  bool fit = round_short<Rounding, kCounts>(values + i, count - i, scale, draws, rounded + i, counts);
  if constexpr (kCounts) tally.sum(i, *counts);
  if (any_bit_of(beyond, scale.inside.beyond)) {
    fit &= are_below(rounded, i, std::int32_t{1} << (kConverts ? 30 : 30 - bits));
  } else {
    counts->inside = are_inside(rounded + i, count - i, scale.inside);
  }
  return fit;
}

// Split words where at most kExactBits bits of the fraction decide, and only an adder asks for them. From the floor up
// to a float the difference is exact, but for floats between -1/2 and 0, where it is rounded down to a multiple of
// 2^-24: the same bits. Where a word does not fit, which is a mark of -2^31 and moved by at most 2^30, the block goes
// the way that cuts it off.
template <class Ops, class Rounding, bool kCounts>
bool convert_split(const float* values, std::int64_t count, const Scale32& scale, const std::uint32_t* u,
                   std::int32_t* rounded, Counts32* counts) {
  using Words = typename Ops::Words;
  constexpr int kExactBits = 24;
  const int bits = scale.random_bits + Rounding::kBelow;
  const auto split = &round_split<float, Rounding, kCounts>;
  if (bits > kExactBits) return split(values, count, scale, u, rounded, counts);
  const auto factor = Ops::broadcast(static_cast<float>(scale.factor));
  const auto unit = Ops::broadcast(static_cast<float>(1 << bits));
  Words beyond{};
  typename Ops::Counts tally;
  std::int64_t i = 0;
  for (; i + Ops::kLanes <= count; i += Ops::kLanes) {
    __builtin_prefetch(values + i + kBlock32, 0, 2);
    const auto scaled = Ops::multiply(values + i, factor);
    const Words whole = Ops::template integers<Direction::kDown>(scaled);
    const auto whole_floats = Ops::floats(whole);
    const auto rest = Ops::multiply(Ops::subtract_down(scaled, whole_floats), unit);
    const Words fraction = Ops::template integers<Direction::kDown>(rest);
    const Words words = whole + Ops::shift(fraction + Rounding::addend(Ops::load(u + i)), bits);
    if constexpr (kCounts) tally.add(i / Ops::kLanes, scaled, whole_floats, words);
    beyond |= words + scale.inside.offset;
    Ops::store(rounded + i, words);
  }
  const bool all_inside = !any_bit_of(beyond, scale.inside.beyond);
  const bool vectors_fit = all_inside || are_below(rounded, i, std::int32_t{1} << 30);
  if (!vectors_fit) return split(values, count, scale, u, rounded, counts);
  const bool fit = split(values + i, count - i, scale, u + i, rounded + i, counts);
  if constexpr (kCounts) tally.sum(i, *counts);
  counts->inside = all_inside && are_inside(rounded + i, count - i, scale.inside);
  return fit;
}

template <class Ops, class... R>
constexpr Lanes32 with_conversions(Lanes32 lanes, const std::tuple<R...>*) {
  std::size_t row = 0;
  const auto replace = [&]<class One>(const One*) {
    if constexpr (kIsConversion<One> || kIsAdder<One>) {
      lanes.short_floats[0][row] = &convert_short<Ops, One, false>;
      lanes.short_floats[1][row] = &convert_short<Ops, One, true>;
    }
    if constexpr (Ops::kSubtractsDown && kIsStochastic<One> && kIsAdder<One>) {
      lanes.floats[0][row] = &convert_split<Ops, One, false>;
      lanes.floats[1][row] = &convert_split<Ops, One, true>;
    }
    ++row;
  };
  (replace(static_cast<const R*>(nullptr)), ...);
  return lanes;
}

template <class Ops>
constexpr Lanes32 with_conversions(const Lanes32& lanes) {
  return with_conversions<Ops>(lanes, static_cast<const Roundings*>(nullptr));
}

}  // namespace
}  // namespace fxsim::isa
