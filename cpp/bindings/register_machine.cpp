#include <dlfcn.h>
#include <pybind11/stl.h>

#include <cstdlib>
#include <string>

#include "bindings/register.hpp"
#include "kernels/dispatch.hpp"
#include "kernels/parallel.hpp"

namespace fxsim::bindings {
namespace {

namespace py = pybind11;

std::string choices() {
  std::string text;
  for (const std::string& name : available_isas()) text += (text.empty() ? "" : ", ") + name;
  return text;
}

void force(const std::optional<std::string>& name) {
  if (!force_isa(name.value_or(""))) {
    throw py::value_error("isa: \"" + *name + "\" is not available on this machine; choose one of " + choices());
  }
}

bool use_pool_of(const std::string& library) {
  void* handle = dlopen(library.c_str(), RTLD_LAZY | RTLD_NOLOAD);
  if (handle == nullptr) return false;
  void* symbol = dlsym(handle, "torch_parallel_for");
  dlclose(handle);  // torch keeps its own reference
  if (symbol == nullptr) return false;
  use_torch_pool(reinterpret_cast<TorchParallelFor>(symbol));
  return true;
}

}  // namespace

void register_machine(py::module_& m) {
  m.def("isa_available", &available_isas);
  m.def("isa_active", &active_isa);
  m.def("isa_used", &used_isas);
  m.def("isa_force", &force, py::arg("name"));
  m.def("use_torch_pool", &use_pool_of, py::arg("library"));
  m.def("set_num_threads", &set_num_threads, py::arg("count"));
  if (const char* wanted = std::getenv("FXSIM_ISA"); wanted != nullptr && *wanted != '\0' && !force_isa(wanted)) {
    throw py::import_error("FXSIM_ISA is \"" + std::string(wanted) +
                           "\", which is not available on this machine; set it to one of " + choices());
  }
}

}  // namespace fxsim::bindings
