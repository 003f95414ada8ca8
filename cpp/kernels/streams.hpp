// Whether a result goes past the caches: it would not stay there until somebody looks.
#pragma once

#include <cstdint>

#include "kernels/isa/isa.hpp"

namespace fxsim {

inline constexpr std::int64_t kTooLarge = std::int64_t{1} << 20;  // bytes: half of a second cache of today

// Whether it would be worth it, and begins with a line.
inline bool belongs_past_caches(const void* to, std::int64_t bytes, std::int64_t too_large = kTooLarge) {
  return bytes >= too_large && reinterpret_cast<std::uintptr_t>(to) % isa::kStreamLine == 0;
}

inline bool streams(const isa::Kernels& kernels, const void* to, std::int64_t bytes,
                    std::int64_t too_large = kTooLarge) {
  return kernels.streaming != nullptr && to != nullptr && belongs_past_caches(to, bytes, too_large);
}

}  // namespace fxsim
