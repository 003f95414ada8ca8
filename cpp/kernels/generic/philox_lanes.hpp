// The random bits of philox.hpp, generated side by side. Internal linkage throughout (see lanes.hpp).
//
// A product of two 32-bit numbers needs a 64-bit lane, so a vector holds one counter a lane and two vectors, those of
// even and of odd blocks, make a vector of results. Several pairs run at once: one alone would wait for its products.
#pragma once

#include <cstdint>

#include "rounding/philox.hpp"

namespace fxsim::isa {
namespace {

// The rounds from number kFrom on, of kSets vectors of counters.
template <class Ops, int kFrom, int kSets>
[[gnu::always_inline]] inline void philox_rounds(const RoundKeys& keys, typename Ops::Vector (&c0)[kSets],
                                                 typename Ops::Vector (&c1)[kSets], typename Ops::Vector (&c2)[kSets],
                                                 typename Ops::Vector (&c3)[kSets]) {
  using Vector = typename Ops::Vector;
  const Vector multiplier0 = Ops::broadcast(kPhiloxFirst);
  const Vector multiplier1 = Ops::broadcast(kPhiloxSecond);
#pragma GCC unroll 16
  for (int round = kFrom; round < kPhiloxRounds; ++round) {
    const Vector key0 = Ops::broadcast(keys.first[round]);
    const Vector key1 = Ops::broadcast(keys.second[round]);
#pragma GCC unroll 8
    for (int s = 0; s < kSets; ++s) {
      const Vector p0 = Ops::multiply(c0[s], multiplier0);
      const Vector p1 = Ops::multiply(c2[s], multiplier1);
      c0[s] = Ops::differ(Ops::upper(p1), c1[s], key0);
      c2[s] = Ops::differ(Ops::upper_too(p0), c3[s], key1);
      c1[s] = p1;
      c3[s] = p0;
    }
  }
}

// The words of kPairs * 2 * Ops::kLanes blocks, word by word. Ops computes with vectors of 64-bit lanes; only the lower
// halves of c0 to c3 are counters, the upper ones are never looked at. Blocks that are wanted agree with `first` in
// their upper half: with what a caller keeps from call to call, the compiler need not multiply again in the first two
// rounds.
template <class Ops, int kPairs>
[[gnu::always_inline]] inline void philox_words(const RoundKeys& keys, std::uint64_t stream, std::uint64_t upper,
                                                std::uint32_t first, std::uint32_t (*word)[kPairs * 2 * Ops::kLanes]) {
  using Vector = typename Ops::Vector;
  constexpr int kSets = 2 * kPairs;
  Vector c0[kSets], c1[kSets], c2[kSets], c3[kSets];
#pragma GCC unroll 8
  for (int s = 0; s < kSets; ++s) {
    c0[s] = Ops::every_second(first + static_cast<std::uint32_t>(s / 2 * 2 * Ops::kLanes + s % 2));
    c1[s] = Ops::broadcast(upper);
    c2[s] = Ops::broadcast(stream);
    c3[s] = Ops::upper(c2[s]);
  }
  philox_rounds<Ops, 0>(keys, c0, c1, c2, c3);
#pragma GCC unroll 8
  for (int p = 0; p < kPairs; ++p) {
    Ops::store(word[0] + p * 2 * Ops::kLanes, Ops::merge(c0[2 * p], c0[2 * p + 1]));
    Ops::store(word[1] + p * 2 * Ops::kLanes, Ops::merge(c1[2 * p], c1[2 * p + 1]));
    Ops::store(word[2] + p * 2 * Ops::kLanes, Ops::merge(c2[2 * p], c2[2 * p + 1]));
    Ops::store(word[3] + p * 2 * Ops::kLanes, Ops::merge(c3[2 * p], c3[2 * p + 1]));
  }
}

// Makes the words of kBlocks blocks at once, a multiple of sixteen.
template <class Ops, int kPairs>
struct SideBySide {
  static constexpr int kBlocks = kPairs * 2 * Ops::kLanes;
  [[gnu::always_inline]] static void words(const RoundKeys& keys, std::uint64_t stream, std::uint64_t upper,
                                           std::uint32_t first, std::uint32_t (*word)[kBlocks]) {
    philox_words<Ops, kPairs>(keys, stream, upper, first, word);
  }
};

// The first `bits` bits of every field of sixteen blocks, in element order; `word` has rows of kBlocks. Where that is
// all of a field the compiler knows how far to shift.
template <int kFields, int kBlocks, bool kWhole>
[[gnu::always_inline]] inline void cut_fields(const std::uint32_t (*word)[kBlocks], int from, int given_bits,
                                              std::uint32_t* out) {
  constexpr int kWidth = 128 / kFields;
  constexpr int kPerWord = 32 / kWidth;
  const int bits = kWhole ? kWidth : given_bits;
#pragma GCC unroll 16
  for (int f = 0; f < kFields; ++f) {
    const std::uint32_t* row = word[f / kPerWord] + from;
    const int left = 32 - kWidth - kWidth * (f % kPerWord);
    for (int lane = 0; lane < kPhiloxLanes; ++lane) {
      out[f * kPhiloxLanes + lane] = row[lane] << left >> (32 - bits);
    }
  }
}

template <class Generator, int kFields, bool kWhole>
void fill_fields(const Key& key, std::uint64_t first, std::int64_t groups, int bits, std::uint32_t* out) {
  constexpr int kBlocks = Generator::kBlocks;
  constexpr int kGroups = kBlocks / kPhiloxLanes;
  const RoundKeys keys = round_keys(key.seed);
  alignas(64) std::uint32_t word[4][kBlocks];
  while (groups > 0) {
    const std::uint64_t upper = first >> 32;
    auto lower = static_cast<std::uint32_t>(first);
    const std::int64_t until_carry = ((std::int64_t{1} << 32) - lower) / kPhiloxLanes;
    const std::int64_t run = groups < until_carry ? groups : until_carry;
    for (std::int64_t group = 0; group < run; group += kGroups) {
      // The keys stay in memory, from where they are operands; in registers they would drive the counters out.
      asm volatile("" : : "r"(&keys) : "memory");
      Generator::words(keys, key.stream, upper, lower, word);
      lower += kBlocks;
      for (int own = 0; own < kGroups && group + own < run; ++own) {
        cut_fields<kFields, kBlocks, kWhole>(word, own * kPhiloxLanes, bits, out);
        out += kFields * kPhiloxLanes;
      }
    }
    first += static_cast<std::uint64_t>(run) * kPhiloxLanes;
    groups -= run;
  }
}

template <class Generator, int kFields>
void fill_width(const Key& key, std::uint64_t first, std::int64_t groups, int bits, std::uint32_t* out) {
  const auto fill =
      bits * kFields == 128 ? &fill_fields<Generator, kFields, true> : &fill_fields<Generator, kFields, false>;
  fill(key, first, groups, bits, out);
}

template <class Generator>
void philox_fill(const Key& key, std::uint64_t first, std::int64_t groups, int bits, std::uint32_t* out) {
  switch (philox_fields(bits)) {
    case 16: return fill_width<Generator, 16>(key, first, groups, bits, out);
    case 8: return fill_width<Generator, 8>(key, first, groups, bits, out);
    default: return fill_width<Generator, 4>(key, first, groups, bits, out);
  }
}

}  // namespace
}  // namespace fxsim::isa
