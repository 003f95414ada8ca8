// The ordered table of instruction sets, slowest first: the last one that a processor supports is its default.
#pragma once

#include <array>

#include "kernels/isa/isa.hpp"

namespace fxsim::isa {

inline constexpr bool always(const Cpu&) { return true; }

// All that the unit's flags in CMakeLists.txt allow the compiler to use.
inline constexpr bool has_avx2(const Cpu& cpu) { return cpu.avx2 && cpu.fma; }

inline constexpr bool has_avx512(const Cpu& cpu) {
  return has_avx2(cpu) && cpu.avx512f && cpu.avx512bw && cpu.avx512dq && cpu.avx512vl;
}

inline constexpr bool has_avx512vnni(const Cpu& cpu) { return has_avx512(cpu) && cpu.avx512vnni; }

inline constexpr bool has_neon(const Cpu& cpu) { return cpu.asimd; }

inline constexpr bool has_neon_dot(const Cpu& cpu) { return has_neon(cpu) && cpu.asimddp; }

// clang-format off
inline constexpr std::array kIsas{
  Isa{"reference", &always, nullptr},
  Isa{"portable", &always, &kPortable},
#if defined(__x86_64__)
  Isa{"avx2", &has_avx2, &kAvx2},
  Isa{"avx512", &has_avx512, &kAvx512},
  Isa{"avx512vnni", &has_avx512vnni, &kAvx512Vnni},
#elif defined(__aarch64__)
  Isa{"neon", &has_neon, &kNeon},
  Isa{"neon_dot", &has_neon_dot, &kNeonDot},
#endif
};
// clang-format on

}  // namespace fxsim::isa
