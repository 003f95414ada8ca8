// Raw integers into the caller's array: as integers, or as floats that carry raw * 2^-fl.
#pragma once

#include <algorithm>
#include <bit>
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

// An integer of at most 51 bits and a sign, exactly: next to 1.5 * 2^52 the last bit of a double is worth 1.
inline double small_integer(std::int64_t raw) {
  constexpr double kMiddle = 0x1.8p52;
  return std::bit_cast<double>(raw + std::bit_cast<std::int64_t>(kMiddle)) - kMiddle;
}

// Whether all integers have at most so many bits and a sign.
inline bool fit_in(const std::int64_t* raw, std::int64_t count, int bits) {
  const std::uint64_t half = std::uint64_t{1} << bits;
  std::uint64_t beyond = 0;
  for (std::int64_t i = 0; i < count; ++i) beyond |= static_cast<std::uint64_t>(raw[i]) + half;
  return beyond < 2 * half;
}

// The same for floats side by side, in loops that compilers make vector code of: a double between holds small integers
// exactly.
inline std::int64_t store_floats(const std::int64_t* raw, std::int64_t count, int fl, float* out) {
  const float step = std::ldexp(1.0F, -fl);
  if (fit_in(raw, count, std::numeric_limits<float>::digits)) {
    for (std::int64_t i = 0; i < count; ++i) out[i] = static_cast<float>(static_cast<std::int32_t>(raw[i])) * step;
    return 0;
  }
  if (!fit_in(raw, count, 51)) return store_carriers(raw, count, fl, out, 1);
  constexpr std::int64_t kTogether = 64;
  double values[kTogether];
  std::int64_t touched = 0;
  for (std::int64_t first = 0; first < count; first += kTogether) {
    const std::int64_t some = std::min(kTogether, count - first);
    for (std::int64_t i = 0; i < some; ++i) values[i] = small_integer(raw[first + i]);
    float* const to = out + first;
    for (std::int64_t i = 0; i < some; ++i) to[i] = static_cast<float>(values[i]);
    for (std::int64_t i = 0; i < some; ++i) {
      const auto moved =
          std::bit_cast<std::uint64_t>(static_cast<double>(to[i])) - std::bit_cast<std::uint64_t>(values[i]);
      touched += static_cast<std::int64_t>((moved | -moved) >> 63);
    }
    for (std::int64_t i = 0; i < some; ++i) to[i] *= step;
  }
  return touched;
}

// Returns the number of inexact carriers.
inline std::int64_t store(const std::int64_t* raw, std::int64_t count, int fl, void* out, Storage storage,
                          std::int64_t offset, std::int64_t stride) {
  switch (storage) {
    case Storage::kFloat32: {
      float* const to = static_cast<float*>(out) + offset;
      return stride == 1 ? store_floats(raw, count, fl, to) : store_carriers(raw, count, fl, to, stride);
    }
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
