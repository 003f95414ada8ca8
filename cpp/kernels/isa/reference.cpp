#include "kernels/reference/reference.hpp"

#include "kernels/isa/isa.hpp"

namespace fxsim::isa {

Isa reference() {
  return {"reference", [] { return true; }, &fxsim::reference::gemm, &fxsim::reference::quantize};
}

}  // namespace fxsim::isa
