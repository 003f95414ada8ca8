#include "bindings/register.hpp"

PYBIND11_MODULE(_core, m) {
  m.doc() = "Fixed-point kernels on NumPy arrays.";
  fxsim::bindings::register_types(m);
  fxsim::bindings::register_kernels(m);
  fxsim::bindings::register_products(m);
  fxsim::bindings::register_batch_norm(m);
  fxsim::bindings::register_machine(m);
}
