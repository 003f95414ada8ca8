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

// Integers from 2^30 on, which the mark for "does not fit" is one of, are refused: their upper two bits differ. What is
// added to the others fits.
template <class Ops, class Rounding>
bool convert_short(const float* values, std::int64_t count, const Scale32& scale, const std::uint32_t* u,
                   std::int32_t* rounded, Counts32* counts) {
  using Words = typename Ops::Words;
  const int bits = scale.bits;
  constexpr bool kConverts = kIsConversion<Rounding>;
  const auto factor = Ops::broadcast(static_cast<float>(kConverts ? scale.factor / (1 << bits) : scale.factor));
  Words unfit{};
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
    if constexpr (!kConverts) {
      Words draw{};
      if constexpr (kIsStochastic<Rounding>) draw = Ops::load(u + i);
      words = Ops::shift(words + Rounding::addend(draw), bits);
    }
    Ops::store(rounded + i, words);
  }
  if (Ops::any_upper_bit(unfit)) return false;
  return round_short<Rounding>(values + i, count - i, scale, kIsStochastic<Rounding> ? u + i : u, rounded + i, counts);
}

// Split words where at most kExactBits bits of the fraction decide, and only an adder asks for them. From the floor up
// to a float the difference is exact, but for floats between -1/2 and 0, where it is rounded down to a multiple of
// 2^-24: the same bits. Where a word does not fit the block goes the way that cuts it off.
template <class Ops, class Rounding>
bool convert_split(const float* values, std::int64_t count, const Scale32& scale, const std::uint32_t* u,
                   std::int32_t* rounded, Counts32* counts) {
  using Words = typename Ops::Words;
  constexpr int kExactBits = 24;
  const int bits = scale.random_bits + Rounding::kBelow;
  if (bits > kExactBits) return round_split<float, Rounding, false>(values, count, scale, u, rounded, counts);
  const auto factor = Ops::broadcast(static_cast<float>(scale.factor));
  const auto unit = Ops::broadcast(static_cast<float>(1 << bits));
  Words unfit{};
  std::int64_t i = 0;
  for (; i + Ops::kLanes <= count; i += Ops::kLanes) {
    const auto scaled = Ops::multiply(values + i, factor);
    const Words whole = Ops::template integers<Direction::kDown>(scaled);
    unfit = Ops::either_or_differ(unfit, whole, whole + whole);
    const auto rest = Ops::multiply(Ops::subtract_down(scaled, Ops::floats(whole)), unit);
    const Words fraction = Ops::template integers<Direction::kDown>(rest);
    Ops::store(rounded + i, whole + Ops::shift(fraction + Rounding::addend(Ops::load(u + i)), bits));
  }
  if (Ops::any_upper_bit(unfit)) return round_split<float, Rounding, false>(values, count, scale, u, rounded, counts);
  return round_split<float, Rounding, false>(values + i, count - i, scale, u + i, rounded + i, counts);
}

template <class Ops, class... R>
constexpr Lanes32 with_conversions(Lanes32 lanes, const std::tuple<R...>*) {
  std::size_t row = 0;
  const auto replace = [&]<class One>(const One*) {
    if constexpr (kIsConversion<One> || kIsAdder<One>) lanes.short_floats[row] = &convert_short<Ops, One>;
    if constexpr (Ops::kSubtractsDown && kIsStochastic<One> && kIsAdder<One>) {
      lanes.floats[0][row] = &convert_split<Ops, One>;
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
