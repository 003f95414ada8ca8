#pragma once

#include "kernels/api.hpp"

namespace fxsim::reference {

Events gemm(const GemmCall& call);
Events quantize(const QuantizeCall& call);

}  // namespace fxsim::reference
