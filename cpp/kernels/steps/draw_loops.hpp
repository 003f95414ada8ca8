// The random bits of a stepping register: Philox4x32-10 of the same sixteen blocks for step after step. Ops gives an
// instruction set's vector of 64-bit lanes, as for philox_lanes.hpp, and how words are cut. Internal linkage, as
// lanes.hpp.
//
// A block and its step stand in different words of the counter, which meet in the third round only. With w0 to w3 a
// counter, P = w0 * M0 and Q = w2 * M1, a round makes of it
//
//     (upper(Q) ^ w1 ^ key0, lower(Q), upper(P) ^ w3 ^ key1, lower(P)).
//
// The step stands in w1, the block in w0. After a round w0 depends on the step alone, w1 on neither, w2 and w3 on the
// block alone. After two, w0 and w1 depend on the block alone, w3 on the step alone, and w2 is what each has made,
// differing. So a block and a step bring what they are to the third round once for all of the other.
#pragma once

#include <cstdint>

#include "kernels/generic/philox_lanes.hpp"
#include "kernels/isa/runs.hpp"

namespace fxsim::isa {
namespace {

inline constexpr std::uint64_t kLowerHalf = 0xFFFFFFFF;

// Of sixteen blocks, as they enter the third round: w2 and w3 without the step's part, w0's product, w1 with the key.
struct BlockPart {
  alignas(64) std::uint64_t third[kSixteen], upper[kSixteen], lower[kSixteen], second[kSixteen];
};

// Blocks stand in vectors of 2 * lanes, those of even number before the others.
template <int kLanes>
inline void make_block_part(const RoundKeys& keys, std::uint64_t stream, std::uint64_t first, BlockPart& part) {
  const std::uint64_t own = (stream & kLowerHalf) * kPhiloxSecond;  // Q of the first round, of every block
  for (int at = 0; at < kSixteen; ++at) {
    const int place = at % (2 * kLanes);
    const auto block = static_cast<std::uint64_t>(at - place + place % kLanes * 2 + place / kLanes);
    const std::uint64_t p = ((first + block) & kLowerHalf) * kPhiloxFirst;
    const std::uint64_t w2 = (p >> 32 ^ stream >> 32 ^ keys.second[0]) & kLowerHalf;
    const std::uint64_t q = w2 * kPhiloxSecond;
    const std::uint64_t w0 = (q >> 32 ^ own ^ keys.first[1]) & kLowerHalf;
    const std::uint64_t next = w0 * kPhiloxFirst;
    part.third[at] = (p ^ keys.second[1]) & kLowerHalf;
    part.upper[at] = next >> 32 ^ keys.second[2];
    part.lower[at] = next & kLowerHalf;
    part.second[at] = (q ^ keys.first[2]) & kLowerHalf;
  }
}

// Of each step: the halves of its w0 * M0 in the second round.
struct StepPart {
  std::uint64_t upper[kMostRun], lower[kMostRun];
};

inline void make_step_part(const RoundKeys& keys, std::uint64_t stream, std::uint64_t first, StepPart& part) {
  const std::uint64_t own = (stream & kLowerHalf) * kPhiloxSecond >> 32 ^ keys.first[0];
  for (std::uint64_t k = 0; k < kMostRun; ++k) {
    const std::uint64_t step = first + (k << kOrdinalBit);
    const std::uint64_t p = ((step >> 32 ^ own) & kLowerHalf) * kPhiloxFirst;
    part.upper[k] = p >> 32;
    part.lower[k] = p & kLowerHalf;
  }
}

// Words 0 to 3 of the blocks of two vectors, as one vector each, into a step's pairs of fields.
template <class Ops, int kFields>
[[gnu::always_inline]] inline void cut_pairs(const typename Ops::Vector (&word)[4], typename Ops::Vector cut,
                                             std::int32_t* out) {
#pragma GCC unroll 4
  for (int w = 0; w < 4; ++w) {
    if constexpr (kFields == 8) {
      Ops::store_pairs(out + w * kSixteen, Ops::cut(word[w], cut));
    } else if constexpr (kFields == 16) {
      Ops::store_pairs(out + 2 * w * kSixteen, Ops::cut(Ops::first_bytes(word[w]), cut));
      Ops::store_pairs(out + (2 * w + 1) * kSixteen, Ops::cut(Ops::last_bytes(word[w]), cut));
    } else if (w % 2 == 0) {
      Ops::store_pairs(out + w / 2 * kSixteen, Ops::cut(Ops::upper_words(word[w], word[w + 1]), cut));
    }
  }
}

// Four vectors of counters at once: fewer would wait for their products.
template <class Ops, int kFields>
void draw_fields(const DrawCall& call) {
  using Vector = typename Ops::Vector;
  constexpr int kSets = static_cast<int>(kSixteen) / Ops::kLanes;  // vectors of a step
  constexpr int kAll = 4;
  constexpr int kSteps = kAll / kSets;
  static_assert(kSteps * kSets == kAll && kMostRun % kSteps == 0);
  const RoundKeys keys = round_keys(call.key.seed);
  BlockPart block;
  StepPart step;
  make_block_part<Ops::kLanes>(keys, call.key.stream, call.first, block);
  make_step_part(keys, call.key.stream, call.first, step);
  const Vector multiplier1 = Ops::broadcast(kPhiloxSecond);
  const Vector cut = Ops::cut_to(call.kept);
  for (std::int64_t k = 0; k < call.depth; k += kSteps) {
    // As in philox_lanes.hpp, the keys stay in memory.
    asm volatile("" : : "r"(&keys), "r"(&block), "r"(&step) : "memory");
    Vector w0[kAll], w1[kAll], w2[kAll], w3[kAll];
#pragma GCC unroll 4
    for (int s = 0; s < kAll; ++s) {
      const int at = s % kSets * Ops::kLanes;
      const std::int64_t own = k + s / kSets;
      w1[s] = Ops::multiply(Ops::differ(Ops::load(block.third + at), Ops::broadcast(step.upper[own])), multiplier1);
      w0[s] = Ops::differ(Ops::upper(w1[s]), Ops::load(block.second + at));
      w2[s] = Ops::differ(Ops::load(block.upper + at), Ops::broadcast(step.lower[own]));
      w3[s] = Ops::load(block.lower + at);
    }
    philox_rounds<Ops, 3>(keys, w0, w1, w2, w3);
#pragma GCC unroll 2
    for (int s = 0; s < kAll; s += 2) {
      const Vector word[4] = {Ops::merge(w0[s], w0[s + 1]), Ops::merge(w1[s], w1[s + 1]), Ops::merge(w2[s], w2[s + 1]),
                              Ops::merge(w3[s], w3[s + 1])};
      cut_pairs<Ops, kFields>(word, cut, call.draws + (k + s / kSets) * draw_stride(kFields) + s % kSets * Ops::kLanes);
    }
  }
}

template <class Ops>
void draw_run(const DrawCall& call) {
  switch (call.fields) {
    case 16: return draw_fields<Ops, 16>(call);
    case 8: return draw_fields<Ops, 8>(call);
    default: return draw_fields<Ops, 4>(call);
  }
}

}  // namespace
}  // namespace fxsim::isa
