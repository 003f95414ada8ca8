#pragma once

#include <optional>

#include "kernels/api.hpp"
#include "kernels/isa/isa.hpp"

namespace fxsim::generic {

Events gemm(const GemmCall& call, const isa::Kernels& kernels);

// Products of one channel each that stand side by side, all at once; nothing where the call is no such thing.
std::optional<Events> gemm_across(const GemmCall& call, const isa::Kernels& kernels);

Events quantize(const QuantizeCall& call, const isa::Kernels& kernels);

}  // namespace fxsim::generic
