// GEMM where the exact sum of all products decides the bits: when that is so, and what becomes of the sum.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/generic/finish.hpp"
#include "kernels/generic/sequence.hpp"

namespace fxsim::generic {

// Whether the exact sum suffices. The bound: |sum| <= K * 2^(p + q) lies within the register, which starts at 0.
inline bool exact_sum_decides(const GemmCall& call) {
  const Accumulator& acc = call.accumulator;
  if (acc.product) return false;
  if (!acc.inner) return acc.chunk == 0 || !acc.outer;
  if (acc.chunk > 0) return false;
  if (acc.at_end) return true;
  const Quantizer& q = *acc.inner;
  const Format& f = q.format;
  const int product_fl = call.a.format.fl + call.b.format.fl;
  if (f.fl < product_fl || (call.count && q.stochastic)) return false;
  if (q.wraps && !call.count) return true;
  if (acc.preload && call.bias != nullptr) return false;
  const bool negative = call.a.format.is_signed || call.b.format.is_signed;
  if (negative && !f.is_signed) return false;
  const int sum_bits = call.a.format.magnitude_bits() + call.b.format.magnitude_bits() +
                       ceil_log2(std::max<std::int64_t>(call.a.depth(), 1)) + f.fl - product_fl;
  return sum_bits < f.magnitude_bits();
}

// What a tile's sums go through: the register that is filled once (or never clips), then the output.
template <class I>
class Finisher {
 public:
  Finisher(const GemmCall& call, const isa::Kernels& kernels) : call_(call), kernels_(kernels), registers_(call) {}

  void run(const Tile& tile, std::vector<I>& values, Scratch& scratch, Events& events) const {
    const Register<I>& reg = registers_.inner;
    if (!reg.exact) fill_register(tile, values, scratch, events);
    const bool add_bias = call_.bias != nullptr && !registers_.has_preload;
    finish_tile(call_, &kernels_, tile, values.data(), reg.fl, add_bias, scratch, events);
  }

 private:
  void fill_register(const Tile& tile, std::vector<I>& values, Scratch& scratch, Events& events) const {
    const Register<I>& reg = registers_.inner;
    for (std::int64_t i = 0; i < tile.size(); ++i) {
      I& value = values[static_cast<std::size_t>(i)];
      value = align(value, reg.enter_shift);
      if (registers_.has_preload) {
        const Element place{tile.index(call_, i), call_.key, events};
        const I start = registers_.start_value(call_.bias[tile.n0 + i % tile.cols], place);
        value = value + align(start, reg.hold_shift);
      }
    }
    Quantizer once = reg.quantizer;
    once.stochastic = reg.at_end && once.stochastic;
    if (!once.stochastic && reg.quantizer.stochastic) once.rounding = 0;  // on the grid: no mode moves it
    const BlockTally tally =
        round_tile(call_, &kernels_, tile, values.data(), reg.scale, once, Site::kStep, Fault::kStep, scratch, events);
    events.step_overflows += tally.overflows;
    for (std::int64_t i = 0; i < tile.size(); ++i) {
      values[static_cast<std::size_t>(i)] = I{scratch.raw[static_cast<std::size_t>(i)]};
    }
  }

  const GemmCall& call_;
  const isa::Kernels& kernels_;
  Registers<I> registers_;
};

}  // namespace fxsim::generic
