#pragma once

#include "kernels/api.hpp"
#include "kernels/isa/isa.hpp"

namespace fxsim::generic {

Events gemm(const GemmCall& call, const isa::Kernels& kernels);
Events quantize(const QuantizeCall& call, const isa::Kernels& kernels);

}  // namespace fxsim::generic
