#pragma once

#include "kernels/batch_norm.hpp"
#include "kernels/isa/batch_norm_passes.hpp"

namespace fxsim::generic {

void batch_statistics(const BatchStatisticsCall& call, const isa::BatchNormPasses& passes);
void batch_norm_relu(const BatchNormCall& call, const isa::BatchNormPasses& passes);
void batch_norm_relu_backward(const BatchNormBackwardCall& call, const isa::BatchNormPasses& passes);

}  // namespace fxsim::generic
