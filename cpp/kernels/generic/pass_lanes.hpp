// Floats to words in one pass (lanes32.hpp): random bits are made while floats come from memory, and nothing is kept
// in between. For instruction sets whose conversions round (short_lanes.hpp). Internal linkage throughout (see
// lanes.hpp).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <variant>

#include "kernels/generic/philox_lanes.hpp"
#include "kernels/generic/read_ahead.hpp"
#include "kernels/generic/short_lanes.hpp"

namespace fxsim::isa {
namespace {

template <class Element, int kLanes>
struct VectorOf {
  using Type [[gnu::vector_size(kLanes * sizeof(Element))]] = Element;
};

constexpr std::int64_t kLine = 64 / sizeof(float);
static_assert(kLine == kPhiloxLanes);

// Rounds and stores one vector after the other. Inlined whole, and what is told of outside of it: its members are to be
// registers.
template <class Ops, class Way, class Out, Look kLook, class Counts>
class PassVectors {
  using Words = typename Ops::Words;
  using Signed = typename VectorOf<std::int32_t, Ops::kLanes>::Type;
  using Stored = typename VectorOf<Out, Ops::kLanes>::Type;

 public:
  using Tally = std::conditional_t<kLook == Look::kAll, Counts, std::monostate>;

  [[gnu::always_inline]] PassVectors(const float* values, const Pass32& pass, void* out, std::uint8_t* outside,
                                     Tally& tally)
      : values_(values),
        out_(static_cast<Out*>(out)),
        outside_(outside),
        tally_(tally),
        way_(pass.scale),
        range_(pass.range),
        step_(static_cast<Out>(pass.step)),
        low_(static_cast<std::uint32_t>(range_.low)),
        span_(static_cast<std::uint32_t>(range_.high) - low_),
        offset_(std::uint32_t{1} << (kMostBits - way_.fraction_bits())) {}

  [[gnu::always_inline]] void run(std::int64_t i, Words draw) {
    const RoundedVector<Ops> vector = way_.round(values_ + i, draw);
    beyond_ |= vector.words + offset_;
    const auto words = reinterpret_cast<Signed>(vector.words);
    if constexpr (kLook == Look::kAll) tally_.add(i, vector.scaled, vector.on_grid, vector.words);
    if constexpr (kLook == Look::kOutside) Ops::store_above(outside_ + i / 8, vector.words - low_, span_);
    const Signed raised = words < range_.lowest ? Signed{} + range_.lowest : words;
    const Signed cut = raised > range_.high ? Signed{} + range_.high : raised;
    // Where all is counted, every word outside is cut off (one_pass.hpp).
    if constexpr (kLook == Look::kAll) Ops::store_unequal(outside_ + i / 8, vector.words, reinterpret_cast<Words>(cut));
    if constexpr (std::is_floating_point_v<Out>) {
      const auto stored = __builtin_convertvector(cut, Stored) * step_;
      __builtin_memcpy(out_ + i, &stored, sizeof stored);
    } else {
      Ops::store_words(out_ + i, reinterpret_cast<Words>(cut));
    }
  }

  // Asks for what a line further on holds, once for each line of floats.
  [[gnu::always_inline]] void ask(std::int64_t i) const { read_ahead(values_ + i); }

  // Whether all words fit: every one lies within +-2^kMostBits in units of the last bit kept.
  [[gnu::always_inline]] bool all_fit() const { return !any_bit_of(beyond_, ~(2 * offset_ - 1)); }

 private:
  const float* values_;
  Out* out_;
  std::uint8_t* outside_;
  Tally& tally_;
  const Way way_;
  const Range32 range_;
  const Out step_;
  const std::uint32_t low_, span_;
  const std::uint32_t offset_;
  Words beyond_{};
};

// With kFields fields a block of random bits.
template <class Ops, class Generator, int kFields, class Vectors>
[[gnu::always_inline]] inline void pass_drawing(const Pass32& pass, std::uint64_t first, Vectors& vectors) {
  constexpr int kBlocks = Generator::kBlocks;
  constexpr int kWidth = 128 / kFields;
  constexpr int kPerWord = 32 / kWidth;
  static_assert(kBlock32 % (kBlocks * kFields) == 0);
  const int random_bits = pass.scale.random_bits;
  const std::uint32_t mask = ~std::uint32_t{0} >> (32 - random_bits);
  const std::uint64_t upper = first >> 32;
  auto lower = static_cast<std::uint32_t>(first);
  alignas(64) std::uint32_t word[4][kBlocks];
  for (std::int64_t at = 0; at < kBlock32; at += kBlocks * kFields) {
    // The keys stay in memory, from where they are operands; in registers they would drive the counters out.
    asm volatile("" : : "r"(&pass.keys) : "memory");
    Generator::words(pass.keys, pass.stream, upper, lower, word);
    lower += kBlocks;
#pragma GCC unroll 4
    for (int from = 0; from < kBlocks; from += kPhiloxLanes) {
#pragma GCC unroll 16
      for (int f = 0; f < kFields; ++f) {
        const int below = kWidth * (f % kPerWord) + kWidth - random_bits;
        vectors.ask(at + from * kFields + f * kPhiloxLanes);
#pragma GCC unroll 2
        for (int lane = 0; lane < kPhiloxLanes; lane += Ops::kLanes) {
          const typename Ops::Words draw = Ops::load(word[f / kPerWord] + from + lane) >> below & mask;
          vectors.run(at + from * kFields + f * kPhiloxLanes + lane, draw);
        }
      }
    }
  }
}

template <class Ops, class Generator, class Rounding, class Way, class Out, Look kLook>
bool one_pass(const float* values, const Pass32& pass, std::uint64_t first, void* out, PassCounts& counts) {
  using Counts = typename Ops::template Counts<kIsStochastic<Rounding>>;
  using Vectors = PassVectors<Ops, Way, Out, kLook, Counts>;
  typename Vectors::Tally tally;
  Vectors vectors(values, pass, out, counts.outside.data(), tally);
  if constexpr (kIsStochastic<Rounding>) {
    switch (philox_fields(pass.scale.random_bits)) {
      case 16: pass_drawing<Ops, Generator, 16>(pass, first, vectors); break;
      case 8: pass_drawing<Ops, Generator, 8>(pass, first, vectors); break;
      default: pass_drawing<Ops, Generator, 4>(pass, first, vectors); break;
    }
  } else {
    for (std::int64_t line = 0; line < kBlock32; line += kLine) {
      vectors.ask(line);
#pragma GCC unroll 2
      for (std::int64_t i = line; i < line + kLine; i += Ops::kLanes) vectors.run(i, typename Ops::Words{});
    }
  }
  if constexpr (kLook == Look::kAll) tally.sum(counts.counts);
  if constexpr (kLook != Look::kNothing) counts.clipped = bits_of(counts.outside);
  return vectors.all_fit();
}

template <class Ops, class Generator, class Rounding, class Way>
constexpr void fill_passes(OnePass (&passes)[kLooks][kRoundings][kStorages], std::size_t row) {
  const auto fill = [&]<class Out>(const Out*) {
    const auto column = static_cast<std::size_t>(storage_of<Out>());
    passes[0][row][column] = &one_pass<Ops, Generator, Rounding, Way, Out, Look::kNothing>;
    passes[1][row][column] = &one_pass<Ops, Generator, Rounding, Way, Out, Look::kOutside>;
    passes[2][row][column] = &one_pass<Ops, Generator, Rounding, Way, Out, Look::kAll>;
  };
  fill(static_cast<const std::int8_t*>(nullptr));
  fill(static_cast<const std::int16_t*>(nullptr));
  fill(static_cast<const float*>(nullptr));
}

template <class Ops, class Generator, class... R>
constexpr Lanes32 with_passes(Lanes32 lanes, const std::tuple<R...>*) {
  std::size_t row = 0;
  const auto fill = [&]<class One>(const One*) {
    if constexpr (kIsConversion<One> || kIsAdder<One>) {
      fill_passes<Ops, Generator, One, ShortWay<Ops, One>>(lanes.short_pass, row);
    }
    if constexpr (Ops::kSubtractsDown && kIsStochastic<One> && kIsAdder<One>) {
      fill_passes<Ops, Generator, One, SplitWay<Ops, One>>(lanes.split_pass, row);
    }
    ++row;
  };
  (fill(static_cast<const R*>(nullptr)), ...);
  return lanes;
}

template <class Ops, class Generator>
constexpr Lanes32 with_passes(const Lanes32& lanes) {
  return with_passes<Ops, Generator>(lanes, static_cast<const Roundings*>(nullptr));
}

}  // namespace
}  // namespace fxsim::isa
