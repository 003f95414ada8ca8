// Blocks of floats quantized in one pass where an instruction set has it: what is chosen once a call, and what is done
// a block. The proof is that of round32.hpp; values beyond 2^29 in units of the last bit kept are refused.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>

#include "kernels/generic/round32.hpp"
#include "kernels/isa/isa.hpp"
#include "rounding/apply.hpp"

namespace fxsim::generic {

template <class... O>
constexpr std::array<bool, kOverflows> cut_off_modes(const std::tuple<O...>*) {
  return {(std::is_same_v<O, Saturate> || std::is_same_v<O, SaturateSymmetric>)...};
}

class OnePass {
 public:
  OnePass(const isa::Kernels& kernels, const Quantizer& q, int scale, Storage out, isa::Look look, const Key& key)
      : random_bits_(q.stochastic ? q.random_bits : 0), look_(look) {
    static constexpr auto kCutsOff = cut_off_modes(static_cast<const Overflows*>(nullptr));
    const Format& f = q.format;
    const int m = f.magnitude_bits(), bits = short_bits(q);
    const bool counts = look == isa::Look::kAll;
    const bool may = kCutsOff[q.overflow] && m <= isa::kMostBits && scale >= 0 &&
                     !(counts && (q.lowest() != f.raw_min() || rounds_carriers(f, out)));
    if (!may) return;
    const auto column = static_cast<std::size_t>(out);
    pass_.range = range32(q);
    pass_.step = std::ldexp(1.0F, -f.fl);
    pass_.stream = key.stream;
    if (q.stochastic) pass_.keys = round_keys(key.seed);
    if (m + bits <= isa::kMostBits && scale + bits <= kMostScale<float>) {
      run_ = kernels.lanes32->short_pass[static_cast<std::size_t>(look)][q.rounding][column];
      pass_.scale = {.factor = std::ldexp(1.0, scale + bits), .bits = bits, .random_bits = q.random_bits};
    } else if (bits <= isa::kMostSplitBits && scale <= kMostScale<float>) {
      run_ = kernels.lanes32->split_pass[static_cast<std::size_t>(look)][q.rounding][column];
      pass_.scale = {.factor = std::ldexp(1.0, scale), .random_bits = q.random_bits};
    }
  }

  bool possible() const { return run_ != nullptr; }

  // Quantizes a block of kBlock32 floats whose first index is a multiple of as many. False: it must go another way;
  // what was written means nothing.
  bool run(const float* values, std::int64_t index, void* out, BlockTally& tally) {
    const std::uint64_t first = random_bits_ > 0 ? first_block(index, random_bits_, Site::kOutput, 0) : 0;
    counts_.counts = {};
    if (!run_(values, pass_, first, out, counts_)) return false;
    if (look_ == isa::Look::kNothing) return true;
    tally.clipped += counts_.clipped;
    tally.overflows += counts_.clipped;
    tally.inexact += counts_.counts.inexact;
    tally.round_to_zero += counts_.counts.round_to_zero;
    return true;
  }

  // Bits of what was outside of the range in the block just run, where it looks.
  const std::uint8_t* outside() const { return counts_.outside.data(); }

 private:
  isa::OnePass run_ = nullptr;
  isa::Pass32 pass_;
  isa::PassCounts counts_;
  int random_bits_;
  isa::Look look_;
};

}  // namespace fxsim::generic
