// How an operand's integers become the 8-bit or 16-bit elements that the tiles multiply.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels/generic/limbs.hpp"
#include "numbers/operand.hpp"

namespace fxsim::exact {

using generic::Limbs;

// Element number `limb` of a value: stored = limb of the value + offset. The last limb has the sign, the ones below it
// are unsigned; the offset moves what the multiply-add wants signed or unsigned into its range. With `balanced` every
// limb has a sign: the ones below the last are within [-2^(bits - 1), 2^(bits - 1)).
struct ElementRule {
  Limbs limbs;
  int offset = 0;      // of the last limb
  int low_offset = 0;  // of the limbs below it
  bool balanced = false;

  // An element is a value of the polynomial whose coefficients are two or three limbs, instead of a limb: at 0, at
  // infinity and at 1, or at 0, 1, infinity, -1 and 2.
  bool evaluated = false;

  int elements() const { return evaluated ? 2 * limbs.count - 1 : limbs.count; }

  // Bytes become elements by a change of their first bit, or of none.
  bool flips_bytes() const { return limbs.count == 1 && offset % 128 == 0; }
  std::uint8_t flip() const { return static_cast<std::uint8_t>(offset); }

  int stored_zero(int limb) const { return limb + 1 == limbs.count ? offset : low_offset; }

  // Calls f with the function from values to elements of that limb.
  template <class Out, class F>
  void visit(int limb, const F& f) const {
    const int add = stored_zero(limb);
    if (limbs.count == 1) {
      if (add == 0) {
        f([](auto value) { return static_cast<Out>(value); });
      } else {
        const auto moved = static_cast<Out>(add);  // mod 2^8 or 2^16, so that lanes stay as narrow as elements
        f([moved](auto value) { return static_cast<Out>(static_cast<Out>(value) + moved); });
      }
      return;
    }
    const int shift = limbs.shift(limb);
    if (balanced) {
      visit_balanced<Out>(limb, f);
    } else if (limb + 1 == limbs.count) {
      f([shift, add](auto value) { return static_cast<Out>((widened(value) >> shift) + add); });
    } else {
      const auto mask = static_cast<std::int32_t>((std::int64_t{1} << limbs.bits) - 1);
      f([shift, mask, add](auto value) { return static_cast<Out>((widened(value) >> shift & mask) + add); });
    }
  }

  // From limbs, which stand in the first places, to all elements of `count` values; places lie `apart` elements apart.
  template <class T>
  void evaluate(T* places, std::int64_t apart, std::int64_t count) const {
    if (!evaluated) return;
    const T* low = places;
    if (limbs.count == 2) {
      const T* high = low + apart;
      T* sum = places + 2 * apart;
      for (std::int64_t i = 0; i < count; ++i) sum[i] = static_cast<T>(low[i] + high[i]);
      return;
    }
    T *middle = places + apart, *minus = places + 3 * apart, *two = places + 4 * apart;
    const T* high = places + 2 * apart;
    for (std::int64_t i = 0; i < count; ++i) {
      const T a = low[i], b = middle[i], c = high[i];
      middle[i] = static_cast<T>(a + b + c);
      minus[i] = static_cast<T>(a - b + c);
      two[i] = static_cast<T>(a + 2 * b + 4 * c);
    }
  }

  template <class Out, class T>
  void apply(const T* from, std::int64_t step, std::int64_t count, int limb, Out* to) const {
    visit<Out>(limb, [=](auto element) { convert(from, step, count, to, element); });
  }

 private:
  // A value plus half a unit of every limb below the last has unsigned limbs that are each too large by half a unit.
  template <class Out, class F>
  void visit_balanced(int limb, const F& f) const {
    const int shift = limbs.shift(limb);
    const std::uint32_t unit_half = std::uint32_t{1} << (limbs.bits - 1);
    std::uint32_t halves = 0;
    for (int j = 0; j + 1 < limbs.count; ++j) halves |= unit_half << limbs.shift(j);
    if (limb + 1 == limbs.count) {
      const auto below = static_cast<std::int32_t>((std::uint32_t{1} << shift) - 1);
      const auto add = static_cast<std::int32_t>(halves);  // to the lower bits alone, that nothing may overflow
      f([=](auto value) {
        return static_cast<Out>((widened(value) >> shift) +
                                ((static_cast<std::int32_t>(value & below) + add) >> shift));
      });
    } else {
      const auto mask = static_cast<std::uint32_t>((std::uint64_t{1} << limbs.bits) - 1);
      f([=](auto value) {
        const std::uint32_t moved = static_cast<std::uint32_t>(value) + halves;
        return static_cast<Out>((moved >> shift & mask) - unit_half);
      });
    }
  }

  // Lanes no wider than needed.
  template <class T>
  static auto widened(T value) {
    return static_cast<std::conditional_t<sizeof(T) <= 4, std::int32_t, std::int64_t>>(value);
  }

  template <class Out, class T, class F>
  static void convert(const T* __restrict from, std::int64_t step, std::int64_t count, Out* __restrict to,
                      const F element) {
    if (step == 1) {
      for (std::int64_t i = 0; i < count; ++i) to[i] = element(from[i]);
    } else {
      for (std::int64_t i = 0; i < count; ++i) to[i] = element(from[i * step]);
    }
  }
};

// Calls f(pointer of the element type): operands are integers, floats are storages of outputs only.
template <class F>
void with_integers(const Operand& o, const F& f) {
  with_storage(o.storage, o.data, [&](const auto* data) {
    if constexpr (std::is_integral_v<std::remove_cvref_t<decltype(*data)>>) f(data);
  });
}

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
