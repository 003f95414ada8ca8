// Raw integers into the caller's array: as integers, or as floats that carry raw * 2^-fl.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "numbers/array.hpp"
#include "numbers/integers.hpp"

namespace fxsim::generic {

template <class T>
void store_integers(const std::int64_t* raw, std::int64_t count, T* out, std::int64_t stride) {
  if (stride == 1) {
    for (std::int64_t i = 0; i < count; ++i) out[i] = static_cast<T>(raw[i]);
  } else {
    for (std::int64_t i = 0; i < count; ++i) out[i * stride] = static_cast<T>(raw[i]);
  }
}

// The conversion rounds to nearest even where the significand is too short; the scale is a power of two, so the
// product is exact. Returns how many elements the conversion touched.
template <class T>
std::int64_t store_carriers(const std::int64_t* raw, std::int64_t count, int fl, T* out, std::int64_t stride) {
  const T step = std::ldexp(T{1}, -fl);
  constexpr int digits = std::numeric_limits<T>::digits;
  constexpr std::int64_t exact = std::int64_t{1} << digits;
  std::int64_t touched = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    out[i * stride] = static_cast<T>(raw[i]) * step;
    touched += (raw[i] > exact || raw[i] < -exact) && significant_bits(raw[i]) > digits;
  }
  return touched;
}

// Returns the number of inexact carriers.
inline std::int64_t store(const std::int64_t* raw, std::int64_t count, int fl, void* out, Storage storage,
                          std::int64_t offset, std::int64_t stride) {
  switch (storage) {
    case Storage::kFloat32: return store_carriers(raw, count, fl, static_cast<float*>(out) + offset, stride);
    case Storage::kFloat64: return store_carriers(raw, count, fl, static_cast<double*>(out) + offset, stride);
    case Storage::kInt8: store_integers(raw, count, static_cast<std::int8_t*>(out) + offset, stride); break;
    case Storage::kUint8: store_integers(raw, count, static_cast<std::uint8_t*>(out) + offset, stride); break;
    case Storage::kInt16: store_integers(raw, count, static_cast<std::int16_t*>(out) + offset, stride); break;
    case Storage::kInt32: store_integers(raw, count, static_cast<std::int32_t*>(out) + offset, stride); break;
    case Storage::kInt64: store_integers(raw, count, static_cast<std::int64_t*>(out) + offset, stride); break;
  }
  return 0;
}

}  // namespace fxsim::generic
