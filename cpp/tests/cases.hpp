// What the tests share: quantizers by name, and a fixed sequence of random choices.
#pragma once

#include <cstdint>
#include <iterator>
#include <random>
#include <stdexcept>
#include <string_view>

#include "rounding/quantizer.hpp"

namespace fxsim::testing {

inline Quantizer quantizer(Format format, std::string_view rounding = "nearest_even",
                           std::string_view overflow = "saturate", int random_bits = 16,
                           std::string_view tail = "truncate") {
  const auto rounding_id = find_rounding(rounding, tail);
  const auto overflow_id = find_overflow(overflow);
  if (!rounding_id || !overflow_id) throw std::invalid_argument("no such mode");
  Quantizer q;
  q.format = format;
  q.rounding = *rounding_id;
  q.overflow = *overflow_id;
  q.random_bits = static_cast<std::uint8_t>(random_bits);
  q.stochastic = is_stochastic(q.rounding);
  q.error = overflow == Error::name;
  q.wraps = overflow == Wrap::name;
  q.symmetric = overflow == SaturateSymmetric::name;
  return q;
}

inline constexpr std::string_view kDeterministic[] = {"floor",        "ceil",         "zero",         "away",
                                                      "nearest_up",   "nearest_down", "nearest_zero", "nearest_away",
                                                      "nearest_even", "nearest_odd"};
inline constexpr std::string_view kTails[] = {"truncate", "half", "nearest_even"};
inline constexpr std::string_view kOverflowNames[] = {"saturate", "saturate_symmetric", "saturate_zero", "wrap",
                                                      "error"};

static_assert(std::size(kDeterministic) + std::size(kTails) == kRoundings, "name the new rounding here");
static_assert(std::size(kOverflowNames) == kOverflows, "name the new overflow mode here");

// Calls f(rounding, tail, overflow) for every combination.
template <class F>
void for_each_mode(const F& f) {
  for (const std::string_view overflow : kOverflowNames) {
    for (const std::string_view rounding : kDeterministic) f(rounding, kTails[0], overflow);
    for (const std::string_view tail : kTails) f(std::string_view{"stochastic"}, tail, overflow);
  }
}

// The same numbers on every machine: the generator is fixed by the standard, and no distribution of the library is
// used.
class Choices {
 public:
  explicit Choices(std::uint64_t seed) : engine_(seed) {}

  std::uint64_t bits() { return engine_(); }
  // Uniform enough in [low, high].
  std::int64_t between(std::int64_t low, std::int64_t high) {
    const std::uint64_t span = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low) + 1;
    const std::uint64_t step = span == 0 ? bits() : bits() % span;
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + step);
  }
  int number(int low, int high) { return static_cast<int>(between(low, high)); }
  bool chance(int one_in) { return between(0, one_in - 1) == 0; }
  template <class C>
  const auto& of(const C& container) {
    return container[static_cast<std::size_t>(between(0, static_cast<std::int64_t>(std::size(container)) - 1))];
  }
  // A raw of the format, half of the time within two of an end or of 0.
  std::int64_t raw(const Format& f) {
    const std::int64_t anything = between(f.raw_min(), f.raw_max());
    if (chance(2)) return anything;
    const std::int64_t anchors[] = {f.raw_min(), 0, f.raw_max()};
    const std::int64_t anchor = of(anchors);
    const std::int64_t near = anchor == f.raw_max() ? anchor - number(0, 2) : anchor + number(0, 2);
    return near < f.raw_min() || near > f.raw_max() ? anchor : near;
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace fxsim::testing
