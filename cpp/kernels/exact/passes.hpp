// Which elements of the operands are multiplied, and how their sums make the sum of products.
//
// With X = 2^bits an operand in two or three limbs is a polynomial at X. The product of two has three or five
// coefficients, and is known from as many of its values (Karatsuba; Toom and Cook): products of the operands' values,
// instead of four or nine products of limbs. `times` is what such a sum counts in the whole, mod 2^64, where a third is
// the inverse of 3; `real` is the same as a number.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/exact/elements.hpp"

namespace fxsim::exact {

struct Pass {
  int image = 0, columns = 0;  // numbers of elements
  int shift = 0;               // times = 2^shift; -1: it is none
  std::uint64_t times = 1;
  double real = 1;
};

inline constexpr std::size_t kMostPasses = 9;

struct Passes {
  std::array<Pass, kMostPasses> all;
  std::size_t count = 0;

  void add(const Pass& pass) { all[count++] = pass; }
  const Pass* begin() const { return all.data(); }
  const Pass* end() const { return all.data() + count; }
};

// What the values at 0, infinity and 1 count.
template <class T>
std::array<T, 3> shares_of_three(T x) {
  return {T{1} - x, x * x - x, x};
}

// Of the values at 0, 1, infinity, -1 and 2, from interpolation; half = X / 2.
template <class T>
std::array<T, 5> shares_of_five(T x, T half, T third) {
  const T square = x * x, cube_half = half * square;
  return {T{1} - half - square + cube_half, x + half * x - cube_half,
          T{2} * x - square - T{4} * cube_half + square * square, third * (T{3} * half * x - x - cube_half),
          third * (cube_half - half)};
}

inline Passes passes_of_values(const Limbs& limbs) {
  constexpr std::uint64_t kThird = 0xAAAAAAAAAAAAAAAB;  // 3 * kThird = 1 mod 2^64
  const std::uint64_t x = std::uint64_t{1} << limbs.bits;
  const auto real_x = static_cast<double>(x);
  Passes passes;
  const auto add = [&](const auto& times, const auto& real) {
    for (std::size_t i = 0; i < times.size(); ++i) {
      passes.add({static_cast<int>(i), static_cast<int>(i), -1, times[i], real[i]});
    }
  };
  if (limbs.count == 2) {
    add(shares_of_three(x), shares_of_three(real_x));
  } else {
    add(shares_of_five(x, x / 2, kThird), shares_of_five(real_x, real_x / 2, 1.0 / 3));
  }
  return passes;
}

inline Passes passes_of_limbs(const Limbs& image, const Limbs& columns) {
  Passes passes;
  for (int u = 0; u < image.count; ++u) {
    for (int v = 0; v < columns.count; ++v) {
      const int shift = image.shift(u) + columns.shift(v);
      passes.add({u, v, shift, std::uint64_t{1} << (shift & 63), std::ldexp(1.0, shift)});
    }
  }
  return passes;
}

}  // namespace fxsim::exact
