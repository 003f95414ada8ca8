#include "rounding/quantizer.hpp"

#include <array>
#include <utility>

namespace fxsim {
namespace {

template <class List>
struct Names;

template <class... Modes>
struct Names<std::tuple<Modes...>> {
  static constexpr std::array<std::string_view, sizeof...(Modes)> name{Modes::name...};
};

template <class R>
constexpr std::string_view tail_of() {
  if constexpr (kIsStochastic<R>) {
    return R::tail;
  } else {
    return {};
  }
}

template <class List>
struct Tails;

template <class... Modes>
struct Tails<std::tuple<Modes...>> {
  static constexpr std::array<std::string_view, sizeof...(Modes)> tail{tail_of<Modes>()...};
};

template <std::size_t N>
std::string joined(const std::array<std::string_view, N>& names) {
  std::string text;
  for (std::size_t i = 0; i < N; ++i) {
    if (i > 0 && names[i] == names[i - 1]) continue;
    if (i > 0) text += ", ";
    text += names[i];
  }
  return text;
}

}  // namespace

std::optional<std::uint8_t> find_rounding(std::string_view name, std::string_view tail) {
  for (std::size_t i = 0; i < kRoundings; ++i) {
    const std::string_view own = Tails<Roundings>::tail[i];
    if (Names<Roundings>::name[i] == name && (own.empty() || own == tail)) return static_cast<std::uint8_t>(i);
  }
  return std::nullopt;
}

std::optional<std::uint8_t> find_overflow(std::string_view name) {
  for (std::size_t i = 0; i < kOverflows; ++i) {
    if (Names<Overflows>::name[i] == name) return static_cast<std::uint8_t>(i);
  }
  return std::nullopt;
}

bool is_stochastic(std::uint8_t rounding) { return !Tails<Roundings>::tail[rounding].empty(); }

std::string rounding_names() { return joined(Names<Roundings>::name); }
std::string overflow_names() { return joined(Names<Overflows>::name); }

}  // namespace fxsim
