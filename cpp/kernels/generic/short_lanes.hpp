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

// The counts of vectors of rounded values, lane by lane. A value is off the grid where it differs from its floor, or
// from whatever integer it was rounded to.
template <class Ops>
struct VectorCounts {
  using Words = typename Ops::Words;

  Words inexact{}, round_to_zero{};

  template <class Floats>
  void add(Floats scaled, Words whole, Words rounded) {
    Ops::count_differing(scaled, Ops::floats(whole), rounded, inexact, round_to_zero);
  }

  // And of the values after them.
  void sum(Counts32& counts) const {
    for (int lane = 0; lane < Ops::kLanes; ++lane) {
      counts.inexact += inexact[lane];
      counts.round_to_zero += round_to_zero[lane];
    }
  }
};

// Integers from 2^30 on, which the mark for "does not fit" is one of, are refused: their upper two bits differ. What is
// added to the others fits.
template <class Ops, class Rounding, bool kCounts>
bool convert_short(const float* values, std::int64_t count, const Scale32& scale, const std::uint32_t* u,
                   std::int32_t* rounded, Counts32* counts) {
  using Words = typename Ops::Words;
  const int bits = scale.bits;
  constexpr bool kConverts = kIsConversion<Rounding>;
  const auto factor = Ops::broadcast(static_cast<float>(kConverts ? scale.factor / (1 << bits) : scale.factor));
  const std::uint32_t integer = ~std::uint32_t{0} << bits;
  Words unfit{};
  VectorCounts<Ops> tally;
  std::int64_t i = 0;
  for (; i + Ops::kLanes <= count; i += Ops::kLanes) {
    const auto scaled = Ops::multiply(values + i, factor);
    Words words;
    if constexpr (kConverts) {
      words = Ops::template integers<Rounding::direction>(scaled);
    } else {
      words = Ops::template integers<Direction::kDown>(scaled);
    }
    unfit = Ops::either_or_differ(unfit, words, words + words);
    Words whole = words;
    if constexpr (!kConverts) {
      Words draw{};
      if constexpr (kIsStochastic<Rounding>) draw = Ops::load(u + i);
      whole = words & integer;
      words = Ops::shift(words + Rounding::addend(draw), bits);
    }
    if constexpr (kCounts) tally.add(scaled, whole, words);
    Ops::store(rounded + i, words);
  }
  if (Ops::any_upper_bit(unfit)) return false;
  const std::uint32_t* draws = kIsStochastic<Rounding> ? u + i : u;
  const bool fit = round_short<Rounding, kCounts>(values + i, count - i, scale, draws, rounded + i, counts);
  if constexpr (kCounts) tally.sum(*counts);
  return fit;
}

// Split words where at most kExactBits bits of the fraction decide, and only an adder asks for them. From the floor up
// to a float the difference is exact, but for floats between -1/2 and 0, where it is rounded down to a multiple of
// 2^-24: the same bits. Where a word does not fit the block goes the way that cuts it off.
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
  Words unfit{};
  VectorCounts<Ops> tally;
  std::int64_t i = 0;
  for (; i + Ops::kLanes <= count; i += Ops::kLanes) {
    const auto scaled = Ops::multiply(values + i, factor);
    const Words whole = Ops::template integers<Direction::kDown>(scaled);
    unfit = Ops::either_or_differ(unfit, whole, whole + whole);
    const auto rest = Ops::multiply(Ops::subtract_down(scaled, Ops::floats(whole)), unit);
    const Words fraction = Ops::template integers<Direction::kDown>(rest);
    const Words words = whole + Ops::shift(fraction + Rounding::addend(Ops::load(u + i)), bits);
    if constexpr (kCounts) tally.add(scaled, whole, words);
    Ops::store(rounded + i, words);
  }
  if (Ops::any_upper_bit(unfit)) return split(values, count, scale, u, rounded, counts);
  const bool fit = split(values + i, count - i, scale, u + i, rounded + i, counts);
  if constexpr (kCounts) tally.sum(*counts);
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
