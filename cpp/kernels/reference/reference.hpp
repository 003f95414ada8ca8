#pragma once

#include "kernels/api.hpp"
#include "kernels/isa/batch_norm_passes.hpp"

namespace fxsim::reference {

Events gemm(const GemmCall& call);
Events quantize(const QuantizeCall& call);
extern const isa::BatchNormPasses kBatchNorm;

}  // namespace fxsim::reference
