// The sequence of one output element, step by step: products, product register, lanes, accumulator, chunks and the
// outer accumulator, in the order that defines the bits. The integer type I is chosen so that nothing below overflows.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/api.hpp"
#include "rounding/apply.hpp"

namespace fxsim::generic {

// One register of the chain: what it holds is aligned with what enters, added exactly, rounded and overflowed.
template <class I>
struct Register {
  bool exact = true;
  Quantizer quantizer;
  BlockFn<I> apply = nullptr;
  int fl = 0;           // of what it holds
  int hold_shift = 0;   // aligns what it holds ...
  int enter_shift = 0;  // ... with what enters
  int scale = 0;        // from there to the register's steps: never positive
  bool at_end = false;
  std::int64_t lanes = 1;
  Site site = Site::kStep;
  Fault::Phase phase = Fault::kStep;

  static Register make(const std::optional<Quantizer>& q, int entering_fl, Site site, Fault::Phase phase) {
    Register r;
    r.site = site;
    r.phase = phase;
    r.fl = entering_fl;
    if (!q) return r;
    r.exact = false;
    r.quantizer = *q;
    r.apply = block_function<I>(*q);
    r.fl = q->format.fl;
    const int fine = std::max(r.fl, entering_fl);
    r.hold_shift = fine - r.fl;
    r.enter_shift = fine - entering_fl;
    r.scale = r.fl - fine;
    return r;
  }
};

struct Element {
  std::int64_t index;  // logical, of the output
  const Key& key;
  Events& events;
};

// Rounds and overflows one value into a register.
template <class I>
std::int64_t settle(const Register<I>& reg, const I& value, const Element& element, std::int64_t ordinal,
                    std::int64_t k, std::int64_t& overflows) {
  const Quantizer& q = reg.quantizer;
  element.events.random_draws += q.stochastic;
  if (reg.scale == 0) {
    const Integer whole = to_integer(value);
    if (whole.beyond == 0 && whole.low >= q.lowest() && whole.low <= q.format.raw_max()) return whole.low;
  }
  std::uint32_t u = 0;
  if (q.stochastic && reg.scale != 0) {
    u = random_bits(element.key, element.index, q.random_bits, reg.site, ordinal);
  }
  std::int64_t raw = 0;
  BlockTally tally;
  reg.apply(&value, 1, reg.scale, q, &u, &raw, nullptr, tally);
  overflows += tally.overflows;
  if (q.error && tally.first_outside >= 0) {
    element.events.refuse({reg.phase, element.index, k, tally.outside_value, q.format});
  }
  return raw;
}

// A register being fed: groups of `lanes` terms enter as one step, or all of them at the end.
template <class I>
class Stage {
 public:
  Stage(const Register<I>& reg, const Element& element, std::int64_t& overflows)
      : reg_(reg), element_(element), overflows_(overflows) {}

  // Starts a new sum; steps go on being numbered.
  void start(const I& held) {
    held_ = held;
    pending_ = I{0};
    waiting_ = 0;
  }

  void add(const I& term, std::int64_t k) {
    if (waiting_ == 0) first_k_ = k;
    pending_ += align(term, reg_.enter_shift);
    ++waiting_;
    if (!reg_.exact && !reg_.at_end && waiting_ == reg_.lanes) step();
  }

  I finish() {
    if (reg_.exact) {
      held_ = align(held_, reg_.hold_shift) + pending_;
    } else if (waiting_ > 0 || reg_.at_end) {
      step();
    }
    return held_;
  }

 private:
  void step() {
    const I sum = align(held_, reg_.hold_shift) + pending_;
    held_ = I{settle(reg_, sum, element_, steps_++, first_k_, overflows_)};
    pending_ = I{0};
    waiting_ = 0;
  }

  const Register<I>& reg_;
  const Element& element_;
  std::int64_t& overflows_;
  I held_{0};
  I pending_{0};
  std::int64_t waiting_ = 0;
  std::int64_t first_k_ = 0;
  std::int64_t steps_ = 0;
};

// The registers of a call, in the integer type I.
template <class I>
struct Registers {
  Register<I> product, inner, outer, preload;
  std::int64_t chunk = 0;
  bool has_preload = false;
  int bias_fl = 0;

  explicit Registers(const GemmCall& call) {
    const Accumulator& acc = call.accumulator;
    const int raw_fl = call.a.format.fl + call.b.format.fl;
    product = Register<I>::make(acc.product, raw_fl, Site::kProduct, Fault::kProduct);
    inner = Register<I>::make(acc.inner, product.fl, Site::kStep, Fault::kStep);
    inner.at_end = acc.at_end;
    inner.lanes = acc.lanes;
    outer = Register<I>::make(acc.chunk > 0 ? acc.outer : std::nullopt, inner.fl, Site::kOuterStep, Fault::kStep);
    outer.at_end = acc.outer_at_end;
    outer.lanes = acc.outer_lanes;
    chunk = acc.chunk;
    const std::optional<Quantizer>& outermost = acc.chunk > 0 ? acc.outer : acc.inner;
    has_preload = acc.preload && call.bias != nullptr && outermost.has_value();
    bias_fl = call.bias_fl;
    if (has_preload) preload = Register<I>::make(outermost, call.bias_fl, Site::kPreload, Fault::kPreload);
  }

  // One product a step into one register that holds all their bits: no step rounds.
  bool plain_steps() const {
    return product.exact && chunk == 0 && !inner.exact && !inner.at_end && inner.lanes == 1 && inner.scale == 0;
  }

  // Fractional length of the accumulated value.
  int fl() const { return chunk > 0 ? outer.fl : inner.fl; }

  I start_value(std::int64_t bias, const Element& element) const {
    if (!has_preload) return I{0};
    const I value = align(I{bias}, preload.enter_shift);
    return I{settle(preload, value, element, 0, -1, element.events.preload_overflows)};
  }
};

template <class I>
constexpr I multiply(std::int64_t a, std::int64_t b) {
  return I{static_cast<int128>(a) * b};
}
template <>
constexpr std::int64_t multiply<std::int64_t>(std::int64_t a, std::int64_t b) {
  return a * b;
}

// The sequence where plain_steps() holds: only sums outside the register's range need a closer look.
template <class I, class AtA, class AtB>
I accumulate_plain(const Register<I>& reg, const AtA& at_a, const AtB& at_b, std::int64_t depth, const I& start,
                   const Element& element) {
  const I lowest{reg.quantizer.lowest()};
  const I highest{reg.quantizer.format.raw_max()};
  I held = start;
  std::int64_t settled = 0;
  for (std::int64_t k = 0; k < depth; ++k) {
    held = held + align(multiply<I>(at_a(k), at_b(k)), reg.enter_shift);
    if (held < lowest || held > highest) [[unlikely]] {
      held = I{settle(reg, held, element, k, k, element.events.step_overflows)};
      ++settled;
    }
  }
  if (reg.quantizer.stochastic) element.events.random_draws += depth - settled;
  return held;
}

// The accumulated value of one element, of fractional length registers.fl(). at_a(k) and at_b(k) give the operands.
template <class I, class AtA, class AtB>
I accumulate(const Registers<I>& registers, const AtA& at_a, const AtB& at_b, std::int64_t depth, const I& start,
             const Element& element) {
  if (registers.plain_steps()) return accumulate_plain(registers.inner, at_a, at_b, depth, start, element);
  Events& events = element.events;
  Stage<I> inner(registers.inner, element, events.step_overflows);
  Stage<I> outer(registers.outer, element, events.outer_overflows);
  const bool chunked = registers.chunk > 0;
  (chunked ? outer : inner).start(start);
  const std::int64_t chunk = chunked ? registers.chunk : std::max<std::int64_t>(depth, 1);
  for (std::int64_t begin = 0; begin < depth; begin += chunk) {
    const std::int64_t end = std::min(begin + chunk, depth);
    if (chunked) inner.start(I{0});
    for (std::int64_t k = begin; k < end; ++k) {
      I product = multiply<I>(at_a(k), at_b(k));
      if (!registers.product.exact) {
        product = align(product, registers.product.enter_shift);
        product = I{settle(registers.product, product, element, k, k, events.product_overflows)};
      }
      inner.add(product, k);
    }
    if (chunked) outer.add(inner.finish(), begin);
  }
  return chunked ? outer.finish() : inner.finish();
}

}  // namespace fxsim::generic
