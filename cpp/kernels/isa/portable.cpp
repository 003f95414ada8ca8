// Plain C++ for any machine.
#include "kernels/generic/dot.hpp"
#include "kernels/generic/lanes.hpp"
#include "kernels/isa/isa.hpp"

namespace fxsim::isa {
namespace {

constexpr Kernels kKernels{kRoundTable, &philox_scalar, &dot_tile};

}  // namespace

Isa portable() {
  return {"portable", [] { return true; }, &kKernels};
}

}  // namespace fxsim::isa
