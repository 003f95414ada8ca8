// A format with the rounding and the overflow mode that bring a value into it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "numbers/format.hpp"
#include "rounding/overflows.hpp"
#include "rounding/roundings.hpp"

namespace fxsim {

struct Quantizer {
  Format format;
  std::uint8_t rounding = 0;  // index in Roundings
  std::uint8_t overflow = 0;  // index in Overflows
  std::uint8_t random_bits = 16;
  bool stochastic = false;
  bool error = false;      // overflow mode `error`
  bool wraps = false;      // overflow mode `wrap`
  bool symmetric = false;  // overflow mode `saturate_symmetric`

  // Any value in [lowest(), format.raw_max()] is stored as it is.
  constexpr std::int64_t lowest() const { return symmetric && format.is_signed ? -format.raw_max() : format.raw_min(); }
};

// Indices by name; nullopt where there is no such mode.
std::optional<std::uint8_t> find_rounding(std::string_view name, std::string_view tail);
std::optional<std::uint8_t> find_overflow(std::string_view name);
bool is_stochastic(std::uint8_t rounding);

// All names in table order, for messages and for the completeness test.
std::string rounding_names();
std::string overflow_names();

}  // namespace fxsim
