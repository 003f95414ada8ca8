#pragma once

#include <pybind11/pybind11.h>

namespace fxsim::bindings {

void register_types(pybind11::module_& m);
void register_kernels(pybind11::module_& m);
void register_products(pybind11::module_& m);
void register_batch_norm(pybind11::module_& m);
void register_machine(pybind11::module_& m);

}  // namespace fxsim::bindings
