// A fixed-point format <WL,FL>: a stored integer `raw` means raw * 2^-fl.
#pragma once

#include <cstdint>
#include <string>

namespace fxsim {

struct Format {
  int wl = 1;
  int fl = 0;
  bool is_signed = true;

  constexpr std::int64_t raw_min() const {
    return is_signed ? static_cast<std::int64_t>(~std::uint64_t{0} << (wl - 1)) : 0;
  }
  constexpr std::int64_t raw_max() const {
    return static_cast<std::int64_t>((std::uint64_t{1} << (is_signed ? wl - 1 : wl)) - 1);
  }
  // |raw| <= 2^magnitude_bits.
  constexpr int magnitude_bits() const { return is_signed ? wl - 1 : wl; }

  std::string text() const { return (is_signed ? "<" : "u<") + std::to_string(wl) + "," + std::to_string(fl) + ">"; }
};

}  // namespace fxsim
