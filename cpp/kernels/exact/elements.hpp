// How an operand's integers become the 8-bit or 16-bit elements that the tiles multiply.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels/generic/limbs.hpp"

namespace fxsim::exact {

using generic::Limbs;

// value -> limb number `limb` of it, plus an offset that makes a signed byte unsigned.
struct ElementRule {
  Limbs limbs;
  int offset = 0;

  template <class Out, class T>
  void apply(const T* from, std::int64_t step, std::int64_t count, int limb, Out* to) const {
    if (limbs.count == 1) {
      convert(from, step, count, to, [this](T value) { return static_cast<Out>(value + offset); });
    } else if (limb + 1 == limbs.count) {
      const int shift = limbs.shift(limb);
      convert(from, step, count, to, [shift](T value) { return static_cast<Out>(std::int64_t{value} >> shift); });
    } else {
      const int shift = limbs.shift(limb);
      const std::int64_t mask = (std::int64_t{1} << limbs.bits) - 1;
      convert(from, step, count, to,
              [shift, mask](T value) { return static_cast<Out>(std::int64_t{value} >> shift & mask); });
    }
  }

 private:
  template <class Out, class T, class F>
  static void convert(const T* __restrict from, std::int64_t step, std::int64_t count, Out* __restrict to, const F& f) {
    if (step == 1) {
      for (std::int64_t i = 0; i < count; ++i) to[i] = f(from[i]);
    } else {
      for (std::int64_t i = 0; i < count; ++i) to[i] = f(from[i * step]);
    }
  }
};

// Calls f with a value of the element type of that size.
template <class F>
void with_element(int bytes, const F& f) {
  if (bytes == 1) {
    f(std::uint8_t{0});
  } else {
    f(std::int16_t{0});
  }
}

}  // namespace fxsim::exact
