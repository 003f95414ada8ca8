// Whether the data, as they are, leave every step within its register, so that the exact sum is the result.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/generic/gather.hpp"
#include "kernels/steps/byte_gemm.hpp"
#include "kernels/steps/word_gemm.hpp"

namespace fxsim::steps {

// The largest sum of squares of some rows, up to an error of 2^-30 of it: up to 2^21 roundings of 2^-53 each.
inline double most_squares(const Operand& o, std::int64_t rows) {
  std::vector<double> row(static_cast<std::size_t>(o.depth()));
  double most = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    generic::gather<double>(o, r, 0, o.depth(), 0, row.data());
    double lanes[8] = {};
    std::size_t k = 0;
    for (; k + 8 <= row.size(); k += 8) {
      for (std::size_t j = 0; j < 8; ++j) lanes[j] += row[k + j] * row[k + j];
    }
    for (; k < row.size(); ++k) lanes[0] += row[k] * row[k];
    double sum = 0;
    for (const double lane : lanes) sum += lane;
    most = std::max(most, sum);
  }
  return most;
}

// By Cauchy-Schwarz no prefix of a sum is larger than the product of its operands' norms. Asked only where steps cost
// much more than an exact sum; a few rows tell first whether there is hope.
inline bool data_stay_inside(const GemmCall& call, const isa::Kernels& kernels) {
  constexpr double kMargin = 1 + 0x1p-20;
  constexpr std::int64_t kLongest = std::int64_t{1} << 21;
  constexpr std::int64_t kFew = 4;
  const Accumulator& acc = call.accumulator;
  if (acc.product || !acc.inner || acc.chunk > 0 || acc.at_end) return false;
  if ((acc.preload && call.bias != nullptr) || (call.count && acc.inner->stochastic)) return false;
  const Quantizer& q = *acc.inner;
  const int shift = q.format.fl - call.a.format.fl - call.b.format.fl;
  if (shift < 0 || shift > 64 || call.a.depth() > kLongest) return false;
  if (byte_rule(call, *kernels.steps) || pair_rule(call, *kernels.steps)) return false;
  const bool negative = call.a.format.is_signed || call.b.format.is_signed;
  if (negative && !q.format.is_signed) return false;
  const double bound = std::ldexp(static_cast<double>(q.format.raw_max()), -shift);
  const auto inside = [&](std::int64_t a_rows, std::int64_t b_rows) {
    const double squares =
        most_squares(call.a, std::min(a_rows, call.a.rows())) * most_squares(call.b, std::min(b_rows, call.b.rows()));
    return std::sqrt(squares) * kMargin < bound;
  };
  return inside(kFew, kFew) && inside(call.a.rows(), call.b.rows());
}

}  // namespace fxsim::steps
