// Compiled with AVX2: the same loops as the portable path, in 256-bit vectors.
#include "kernels/generic/dot.hpp"
#include "kernels/generic/lanes.hpp"
#include "kernels/isa/isa.hpp"

namespace fxsim::isa {
namespace {

constexpr Kernels kKernels{kRoundTable, &philox_scalar, &dot_tile};

}  // namespace

Isa avx2() {
  return {"avx2", [] { return __builtin_cpu_supports("avx2") != 0; }, &kKernels};
}

}  // namespace fxsim::isa
