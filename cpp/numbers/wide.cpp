#include "numbers/wide.hpp"

#include <algorithm>

namespace fxsim {

std::string Wide::text() const {
  Wide magnitude = *this;
  if (negative()) {
    for (std::uint64_t& limb : magnitude.limbs_) limb = ~limb;
    magnitude += Wide{std::int64_t{1}};
  }
  std::string digits;
  do {
    uint128 remainder = 0;
    for (std::size_t i = kLimbs; i-- > 0;) {
      const uint128 part = (remainder << 64) | magnitude.limbs_[i];
      magnitude.limbs_[i] = static_cast<std::uint64_t>(part / 10);
      remainder = part % 10;
    }
    digits.push_back(static_cast<char>('0' + static_cast<int>(remainder)));
  } while (magnitude != Wide{});
  if (negative()) digits.push_back('-');
  std::reverse(digits.begin(), digits.end());
  return digits;
}

}  // namespace fxsim
