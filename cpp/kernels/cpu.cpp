#include "kernels/cpu.hpp"

#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace fxsim {

#if defined(__x86_64__)
Cpu this_cpu() {
  return {.avx2 = __builtin_cpu_supports("avx2") != 0,
          .fma = __builtin_cpu_supports("fma") != 0,
          .avx512f = __builtin_cpu_supports("avx512f") != 0,
          .avx512bw = __builtin_cpu_supports("avx512bw") != 0,
          .avx512dq = __builtin_cpu_supports("avx512dq") != 0,
          .avx512vl = __builtin_cpu_supports("avx512vl") != 0,
          .avx512vnni = __builtin_cpu_supports("avx512vnni") != 0};
}
#elif defined(__aarch64__)
Cpu this_cpu() {
  const unsigned long capabilities = getauxval(AT_HWCAP);
  return {.asimd = (capabilities & HWCAP_ASIMD) != 0, .asimddp = (capabilities & HWCAP_ASIMDDP) != 0};
}
#else
Cpu this_cpu() { return {}; }
#endif

}  // namespace fxsim
