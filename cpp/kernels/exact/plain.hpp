// Sums that 32 bits hold, and results that are such sums as they stand.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/api.hpp"

namespace fxsim::exact {

// Sums of 32 bits that take the bias in as it is.
struct ShortSums {
  bool hold = false;
  bool negative = false;
  int bias_shift = 0;
  std::int64_t bound = 0;  // of every |sum|, bias included
};

struct Plain {
  bool holds = false;
  bool counts_carriers = false;  // floats may be inexact, and somebody counts
  double step = 1;               // of carriers
};

// `bound` is of every |sum|, without bias. The register, if there is one, keeps the sum as it is: it is exact, or wide
// enough for the bound and as fine as the product.
inline bool register_is_transparent(const GemmCall& call, std::int64_t bound) {
  const Accumulator& acc = call.accumulator;
  if (!acc.inner) return true;
  const Quantizer& q = *acc.inner;
  const bool negative = call.a.format.is_signed || call.b.format.is_signed;
  return q.format.fl == call.a.format.fl + call.b.format.fl && !q.stochastic &&
         !(acc.preload && call.bias != nullptr) && bound <= q.format.raw_max() && (!negative || -bound >= q.lowest());
}

// Whether K * 2^(p + q) tells all there is to know of the sums: no register to fit, and floats carry them exactly where
// somebody counts those that are not.
inline bool formats_bound_sums(const GemmCall& call, const Format& pixels, const Format& columns) {
  const int bits = pixels.magnitude_bits() + columns.magnitude_bits();
  if (call.accumulator.inner || bits > 31) return false;
  return call.a.depth() <= (call.count ? std::int64_t{1} << 24 : INT32_MAX) >> bits;
}

// value * 2^bits, or INT64_MAX where 64 bits do not hold it.
inline std::int64_t bounded_shift(std::int64_t value, int bits) {
  return bits >= 63 || value > INT64_MAX >> bits ? INT64_MAX : value << bits;
}

// |sum| <= the largest sum of a column's magnitudes times the pixels' largest magnitude.
inline std::int64_t sum_bound(const Format& pixels, std::int64_t magnitude) {
  return bounded_shift(magnitude, pixels.magnitude_bits());
}

// |sum| <= K * 2^(p + q).
inline std::int64_t sum_bound_of_formats(std::int64_t depth, const Format& a, const Format& b) {
  return bounded_shift(depth, a.magnitude_bits() + b.magnitude_bits());
}

// A register of 32 bits that wraps and rounds nothing: its word is the sum mod 2^32.
inline bool is_word_mod_2_32(const GemmCall& call) {
  const Accumulator& acc = call.accumulator;
  if (call.count || call.bias != nullptr || call.output_rounds || !acc.inner || !acc.inner->wraps) return false;
  const Format& f = acc.inner->format;
  return f.wl == 32 && f.is_signed && f.fl == call.a.format.fl + call.b.format.fl &&
         call.out.storage == Storage::kInt32;
}

// `bound` is of every |sum|, without bias.
inline ShortSums short_sums(const GemmCall& call, std::int64_t bound) {
  constexpr std::int64_t kMost = INT32_MAX;
  ShortSums sums{
      .hold = false, .negative = call.a.format.is_signed || call.b.format.is_signed, .bias_shift = 0, .bound = bound};
  if (bound > kMost || !register_is_transparent(call, bound)) return sums;
  if (call.bias != nullptr) {
    sums.bias_shift = call.a.format.fl + call.b.format.fl - call.bias_fl;
    if (sums.bias_shift < 0 || sums.bias_shift > 31) return sums;
    const auto [least, most] = std::minmax_element(call.bias, call.bias + call.out.cols);
    if (*least < -kMost || *most > kMost) return sums;
    const std::int64_t largest = std::max(-*least, *most);
    if (largest > kMost >> sums.bias_shift) return sums;
    sums.bound += largest << sums.bias_shift;
    sums.negative = sums.negative || *least < 0;
  }
  sums.hold = sums.bound <= kMost;
  return sums;
}

// What needs no more than storing: nothing is rounded, and the result's format holds the sums.
inline Plain plain_result(const GemmCall& call, const ShortSums& sums) {
  constexpr int kFloatDigits = 24;
  Plain plain;
  if (is_word_mod_2_32(call)) {
    plain.holds = true;
    return plain;
  }
  const int fl = call.a.format.fl + call.b.format.fl;
  const Format& result = call.output.format;
  if (!sums.hold || call.output_rounds || result.fl != fl) return plain;
  if (sums.bound > result.raw_max() || (sums.negative && -sums.bound < result.raw_min())) return plain;
  switch (call.out.storage) {
    case Storage::kInt32:
    case Storage::kInt64: break;
    case Storage::kFloat32:
      if (fl > 100 || fl < -90) return plain;  // a product with the step must stay a normal float
      plain.counts_carriers = call.count && sums.bound > std::int64_t{1} << kFloatDigits;
      break;
    case Storage::kFloat64: break;
    default: return plain;
  }
  plain.step = std::ldexp(1.0, -fl);
  plain.holds = true;
  return plain;
}

// Whether sums of 64 bits are the result as they stand. `bound` is of every |sum|; INT64_MAX: of those that fit.
inline bool is_sum_itself(const GemmCall& call, std::int64_t bound) {
  const Format& result = call.output.format;
  const bool negative = call.a.format.is_signed || call.b.format.is_signed;
  if (call.bias != nullptr || call.output_rounds || result.fl != call.a.format.fl + call.b.format.fl) return false;
  if (bound == INT64_MAX) return !call.accumulator.inner && result.wl == 64 && result.is_signed;
  return register_is_transparent(call, bound) && bound <= result.raw_max() && (!negative || -bound >= result.raw_min());
}

// Stores sums (rows x cols, `pitch` apart) one by one; returns how many carriers are inexact.
template <class T>
std::int64_t store_plain_as(const std::int32_t* sums, std::int64_t pitch, std::int64_t rows, std::int64_t cols, T* out,
                            std::int64_t row_stride, std::int64_t col_stride, T step) {
  std::int64_t inexact = 0;
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < cols; ++j) {
      const std::int32_t sum = sums[i * pitch + j];
      const T value = static_cast<T>(sum);
      out[i * row_stride + j * col_stride] = value * step;
      if constexpr (std::is_same_v<T, float>) inexact += static_cast<double>(value) != static_cast<double>(sum);
    }
  }
  return inexact;
}

inline std::int64_t store_plain(const Plain& plain, const std::int32_t* sums, std::int64_t pitch, std::int64_t rows,
                                std::int64_t cols, void* out, Storage storage, std::int64_t offset,
                                std::int64_t row_stride, std::int64_t col_stride) {
  switch (storage) {
    case Storage::kFloat32:
      return store_plain_as(sums, pitch, rows, cols, static_cast<float*>(out) + offset, row_stride, col_stride,
                            static_cast<float>(plain.step));
    case Storage::kFloat64:
      return store_plain_as(sums, pitch, rows, cols, static_cast<double*>(out) + offset, row_stride, col_stride,
                            plain.step);
    case Storage::kInt64:
      return store_plain_as(sums, pitch, rows, cols, static_cast<std::int64_t*>(out) + offset, row_stride, col_stride,
                            std::int64_t{1});
    default:
      return store_plain_as(sums, pitch, rows, cols, static_cast<std::int32_t*>(out) + offset, row_stride, col_stride,
                            std::int32_t{1});
  }
}

}  // namespace fxsim::exact
