// A two's-complement integer of 512 bits, for the sums no machine register holds: formats reach from fl -192 to
// 192, so aligning a 64-bit accumulator with a product may take 64 + 384 bits and a few for the number of terms.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>

#include "numbers/integers.hpp"

namespace fxsim {

class Wide {
 public:
  static constexpr int kBits = 512;

  constexpr Wide() = default;
  // Implicit, as from int to long: no value is lost.
  constexpr Wide(int value) : Wide(static_cast<int128>(value)) {}
  constexpr Wide(std::int64_t value) : Wide(static_cast<int128>(value)) {}
  constexpr Wide(int128 value) {
    const std::uint64_t sign = value < 0 ? ~std::uint64_t{0} : 0;
    limbs_.fill(sign);
    limbs_[0] = static_cast<std::uint64_t>(value);
    limbs_[1] = static_cast<std::uint64_t>(static_cast<uint128>(value) >> 64);
  }

  constexpr bool negative() const { return (limbs_[kLimbs - 1] >> 63) != 0; }
  constexpr std::uint64_t low64() const { return limbs_[0]; }

  friend constexpr Wide operator+(const Wide& a, const Wide& b) {
    Wide sum;
    std::uint64_t carry = 0;
    for (std::size_t i = 0; i < kLimbs; ++i) {
      const uint128 limb = static_cast<uint128>(a.limbs_[i]) + b.limbs_[i] + carry;
      sum.limbs_[i] = static_cast<std::uint64_t>(limb);
      carry = static_cast<std::uint64_t>(limb >> 64);
    }
    return sum;
  }
  constexpr Wide& operator+=(const Wide& other) { return *this = *this + other; }

  friend constexpr Wide operator<<(const Wide& a, int shift) {
    Wide out;
    const auto limbs = static_cast<std::size_t>(shift) / 64;
    const int bits = shift % 64;
    for (std::size_t i = kLimbs; i-- > limbs;) {
      out.limbs_[i] = a.limbs_[i - limbs] << bits;
      if (bits != 0 && i > limbs) out.limbs_[i] |= a.limbs_[i - limbs - 1] >> (64 - bits);
    }
    return out;
  }

  // Arithmetic: floor(a / 2^shift).
  friend constexpr Wide operator>>(const Wide& a, int shift) {
    Wide out;
    const std::uint64_t sign = a.negative() ? ~std::uint64_t{0} : 0;
    const auto limbs = static_cast<std::size_t>(shift) / 64;
    const int bits = shift % 64;
    for (std::size_t i = 0; i < kLimbs; ++i) {
      const std::uint64_t low = i + limbs < kLimbs ? a.limbs_[i + limbs] : sign;
      const std::uint64_t high = i + limbs + 1 < kLimbs ? a.limbs_[i + limbs + 1] : sign;
      out.limbs_[i] = bits == 0 ? low : (low >> bits) | (high << (64 - bits));
    }
    return out;
  }

  friend constexpr bool operator==(const Wide&, const Wide&) = default;
  friend constexpr std::strong_ordering operator<=>(const Wide& a, const Wide& b) {
    if (a.negative() != b.negative()) {
      return a.negative() ? std::strong_ordering::less : std::strong_ordering::greater;
    }
    for (std::size_t i = kLimbs; i-- > 0;) {
      if (a.limbs_[i] != b.limbs_[i]) return a.limbs_[i] <=> b.limbs_[i];
    }
    return std::strong_ordering::equal;
  }

 private:
  static constexpr std::size_t kLimbs = kBits / 64;
  std::array<std::uint64_t, kLimbs> limbs_{};
};

}  // namespace fxsim
