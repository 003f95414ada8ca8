// Values that Python builds once and hands to the kernels.
#pragma once

#include "bindings/arrays.hpp"
#include "numbers/operand.hpp"

namespace fxsim::bindings {

// Keeps the array behind the view alive.
struct BoundOperand {
  py::array array;
  Operand view;
};

}  // namespace fxsim::bindings
