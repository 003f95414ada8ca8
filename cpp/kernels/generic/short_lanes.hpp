// Words of floats (lanes32.hpp) for instruction sets whose conversions to integers round as they are told, and mark
// what does not fit. Ops names the instructions. Internal linkage throughout (see lanes.hpp).
//
// The product is exact, so a conversion in the direction of a mode that is one is that mode: it rounds the very number
// that is to be rounded, once. For adders it is the floor in units of 2^-bits.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernels/generic/lanes32.hpp"

namespace fxsim::isa {
namespace {

// A bit for each element of a block.
using BlockBits = std::array<std::uint8_t, kBlock32 / 8>;

inline std::int64_t bits_of(const BlockBits& bits) {
  std::int64_t found = 0;
  for (std::size_t i = 0; i < bits.size(); i += sizeof(std::uint64_t)) {
    std::uint64_t word;
    __builtin_memcpy(&word, bits.data() + i, sizeof word);
    found += __builtin_popcountll(word);
  }
  return found;
}

// Counts of a block's rounded values, summed lane by lane.
template <class Ops>
class LaneCounts {
  using Words = typename Ops::Words;

 public:
  // Of the vector that begins at element i; where a and b differ, the values were not on the grid.
  template <class Floats>
  [[gnu::always_inline]] void add(std::int64_t, Floats a, Floats b, Words rounded) {
    const Words differ = Ops::differ(a, b);
    inexact_ -= differ;
    round_to_zero_ -= differ & reinterpret_cast<Words>(rounded == 0);
  }

  void sum(Counts32& counts) const {
    for (int lane = 0; lane < Ops::kLanes; ++lane) {
      counts.inexact += inexact_[lane];
      counts.round_to_zero += round_to_zero_[lane];
    }
  }

 private:
  Words inexact_{}, round_to_zero_{};
};

// The same, kept as bits and counted at the end: sums take registers.
template <class Ops>
class MaskCounts {
 public:
  template <class Floats>
  [[gnu::always_inline]] void add(std::int64_t i, Floats a, Floats b, typename Ops::Words rounded) {
    Ops::store_unequal(inexact_.data() + i / 8, round_to_zero_.data() + i / 8, a, b, rounded);
  }

  void sum(Counts32& counts) const {
    counts.inexact += bits_of(inexact_);
    counts.round_to_zero += bits_of(round_to_zero_);
  }

 private:
  BlockBits inexact_{}, round_to_zero_{};
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

// Words of a vector of products with a power of two; `scaled`, the products, and `on_grid` differ where the grid was
// missed.
template <class Ops>
struct RoundedVector {
  using Floats = decltype(Ops::broadcast(0.0F));

  typename Ops::Words words;
  Floats scaled, on_grid;
};

// Of short words (round32.hpp). The mark for "does not fit" is not lost while words beyond 2^30 in units of
// 2^-fraction_bits() are refused: no shift brings it below, and what is added to the others fits.
template <class Ops, class Rounding>
class ShortWay {
  using Words = typename Ops::Words;
  static constexpr bool kConverts = kIsConversion<Rounding>;

 public:
  [[gnu::always_inline]] explicit ShortWay(const Scale32& scale)
      : bits_(scale.bits),
        integer_(~std::uint32_t{0} << scale.bits),
        factor_(Ops::broadcast(static_cast<float>(kConverts ? scale.factor / (1 << scale.bits) : scale.factor))) {}

  int fraction_bits() const { return kConverts ? 0 : bits_; }

  [[gnu::always_inline]] RoundedVector<Ops> round(const float* values, Words draw) const {
    const auto scaled = Ops::multiply(values, factor_);
    if constexpr (kConverts) {
      const auto whole = Ops::template whole<Rounding::direction>(scaled);
      return {whole.words, scaled, whole.floats};
    } else {
      const Words words = Ops::template whole<Direction::kDown>(scaled).words;
      return {Ops::shift(words + Rounding::addend(draw), bits_), scaled, Ops::floats(words & integer_)};
    }
  }

 private:
  int bits_;
  std::uint32_t integer_;
  typename RoundedVector<Ops>::Floats factor_;
};

// Of split words where at most kMostSplitBits bits of the fraction decide, and only an adder asks for them. From the
// floor up to a float the difference is exact, but for floats between -1/2 and 0, where it is rounded down to a
// multiple of 2^-24: the same bits. A word that does not fit, a mark of -2^31, is moved by at most 2^30.
template <class Ops, class Rounding>
class SplitWay {
  using Words = typename Ops::Words;

 public:
  [[gnu::always_inline]] explicit SplitWay(const Scale32& scale)
      : bits_(bits_of(scale)),
        factor_(Ops::broadcast(static_cast<float>(scale.factor))),
        unit_(Ops::broadcast(static_cast<float>(1 << bits_))) {}

  static int bits_of(const Scale32& scale) { return scale.random_bits + Rounding::kBelow; }
  static int fraction_bits() { return 0; }

  [[gnu::always_inline]] RoundedVector<Ops> round(const float* values, Words draw) const {
    const auto scaled = Ops::multiply(values, factor_);
    const auto whole = Ops::template whole<Direction::kDown>(scaled);
    const auto rest = Ops::multiply(Ops::subtract_down(scaled, whole.floats), unit_);
    const Words fraction = Ops::template whole<Direction::kDown>(rest).words;
    return {whole.words + Ops::shift(fraction + Rounding::addend(draw), bits_), scaled, whole.floats};
  }

 private:
  int bits_;
  typename RoundedVector<Ops>::Floats factor_, unit_;
};

// Rounds as many whole vectors as there are; what is beyond a range is looked for in `beyond`. Returns their values.
template <class Ops, class Rounding, bool kCounts, class Way>
[[gnu::always_inline]] inline std::int64_t convert_vectors(const Way& way, const float* values, std::int64_t count,
                                                           const Inside32& inside, const std::uint32_t* u,
                                                           std::int32_t* rounded, typename Ops::Words& beyond,
                                                           Counts32* counts) {
  using Words = typename Ops::Words;
  typename Ops::template Counts<false> tally;
  std::int64_t i = 0;
  for (; i + Ops::kLanes <= count; i += Ops::kLanes) {
    read_ahead(values + i);
    Words draw{};
    if constexpr (kIsStochastic<Rounding>) draw = Ops::load(u + i);
    const RoundedVector<Ops> vector = way.round(values + i, draw);
    if constexpr (kCounts) tally.add(i, vector.scaled, vector.on_grid, vector.words);
    beyond |= vector.words + inside.offset;
    Ops::store(rounded + i, vector.words);
  }
  if constexpr (kCounts) tally.sum(*counts);
  return i;
}

// What does not fit is looked for after the rounding, where a word was found that is not inside.
template <class Ops, class Rounding, bool kCounts>
bool convert_short(const float* values, std::int64_t count, const Scale32& scale, const std::uint32_t* u,
                   std::int32_t* rounded, Counts32* counts) {
  const ShortWay<Ops, Rounding> way(scale);
  typename Ops::Words beyond{};
  Counts32 whole;
  const std::int64_t i =
      convert_vectors<Ops, Rounding, kCounts>(way, values, count, scale.inside, u, rounded, beyond, &whole);
  const std::uint32_t* draws = kIsStochastic<Rounding> ? u + i : u;
  bool fit = round_short<Rounding, kCounts>(values + i, count - i, scale, draws, rounded + i, counts);
  if constexpr (kCounts) counts->add(whole);
  if (any_bit_of(beyond, scale.inside.beyond)) {
    fit &= are_below(rounded, i, std::int32_t{1} << (30 - way.fraction_bits()));
  } else {
    counts->inside = are_inside(rounded + i, count - i, scale.inside);
  }
  return fit;
}

// Where a word does not fit the block goes the way that cuts it off.
template <class Ops, class Rounding, bool kCounts>
bool convert_split(const float* values, std::int64_t count, const Scale32& scale, const std::uint32_t* u,
                   std::int32_t* rounded, Counts32* counts) {
  using Way = SplitWay<Ops, Rounding>;
  const auto split = &round_split<float, Rounding, kCounts>;
  if (Way::bits_of(scale) > kMostSplitBits) return split(values, count, scale, u, rounded, counts);
  const Way way(scale);
  typename Ops::Words beyond{};
  Counts32 whole;
  const std::int64_t i =
      convert_vectors<Ops, Rounding, kCounts>(way, values, count, scale.inside, u, rounded, beyond, &whole);
  const bool all_inside = !any_bit_of(beyond, scale.inside.beyond);
  const bool vectors_fit = all_inside || are_below(rounded, i, std::int32_t{1} << 30);
  if (!vectors_fit) return split(values, count, scale, u, rounded, counts);
  const bool fit = split(values + i, count - i, scale, u + i, rounded + i, counts);
  if constexpr (kCounts) counts->add(whole);
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
