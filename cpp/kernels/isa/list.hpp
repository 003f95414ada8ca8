// The ordered table of instruction sets, slowest first: the last one that the machine supports is the default.
#pragma once

#include <array>

#include "kernels/isa/isa.hpp"

namespace fxsim::isa {

inline constexpr bool always() { return true; }

#if defined(__x86_64__)
inline bool has_avx2() { return __builtin_cpu_supports("avx2") != 0; }

inline bool has_avx512() {
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
}

inline bool has_avx512vnni() { return has_avx512() && __builtin_cpu_supports("avx512vnni") != 0; }
#endif

inline constexpr std::array kIsas {
  Isa{"reference", &always, nullptr}, Isa{"portable", &always, &kPortable},
#if defined(__x86_64__)
      Isa{"avx2", &has_avx2, &kAvx2}, Isa{"avx512", &has_avx512, &kAvx512},
      Isa{"avx512vnni", &has_avx512vnni, &kAvx512Vnni},
#endif
};

}  // namespace fxsim::isa
