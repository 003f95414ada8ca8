// A kernel's report of a refused value as the Python exception a user sees.
#pragma once

#include <string>

#include "bindings/arrays.hpp"
#include "kernels/api.hpp"

namespace fxsim::bindings {

void raise_gemm_fault(const Fault& fault, const std::string& name);

// `array` is the input in the order its elements are numbered; with channels_last its axes are (n, spatial..., c) and
// an index is printed as (n, c, spatial...).
void raise_quantize_fault(const Fault& fault, const std::string& name, const StridedArray& array, bool channels_last);

}  // namespace fxsim::bindings
