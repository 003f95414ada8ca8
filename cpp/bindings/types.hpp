// Values that Python builds once and hands to the kernels.
#pragma once

#include <memory>

#include "bindings/arrays.hpp"
#include "kernels/exact/pack_store.hpp"
#include "numbers/operand.hpp"

namespace fxsim::bindings {

// Keeps the array behind the view alive, and what is packed of it.
struct BoundOperand {
  py::array array;
  Operand view;
  std::shared_ptr<exact::PackStore> store;
};

}  // namespace fxsim::bindings
