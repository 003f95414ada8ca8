// Plain C++ for any machine.
#include "kernels/generic/dot.hpp"
#include "kernels/generic/lanes.hpp"
#include "kernels/isa/isa.hpp"

namespace fxsim::isa {
namespace {

constexpr Kernels kKernels{kRoundTable, &philox_scalar, {kDotBlock, kDotBlock, kDotBlock}, &add_shifted};

}  // namespace

Isa portable() {
  return {"portable", [] { return true; }, &kKernels};
}

}  // namespace fxsim::isa
