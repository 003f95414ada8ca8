#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/api.hpp"
#include "kernels/generic/gather.hpp"

namespace fxsim {

void k_counts(const Operand& operand, std::int64_t* structural, std::int64_t* nonzero) {
  constexpr std::int64_t kPad = std::numeric_limits<std::int64_t>::min();  // no operand of 32 bits has this value
  const std::int64_t depth = operand.depth();
  std::fill_n(structural, depth, 0);
  std::fill_n(nonzero, depth, 0);
  std::vector<std::int64_t> row(static_cast<std::size_t>(depth));
  for (std::int64_t r = 0; r < operand.rows(); ++r) {
    generic::gather(operand, r, 0, depth, kPad, row.data());
    for (std::int64_t k = 0; k < depth; ++k) {
      const std::int64_t value = row[static_cast<std::size_t>(k)];
      structural[k] += value == kPad;
      nonzero[k] += value != kPad && value != 0;
    }
  }
}

}  // namespace fxsim
