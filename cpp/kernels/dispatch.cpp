#include "kernels/dispatch.hpp"

#include <atomic>
#include <cstdlib>

#include "kernels/api.hpp"
#include "kernels/generic/gemm.hpp"
#include "kernels/isa/list.hpp"
#include "kernels/reference/reference.hpp"

namespace fxsim {
namespace {

const isa::Isa* find(std::string_view name) {
  for (const isa::Isa& candidate : isa::kIsas) {
    if (candidate.name == name && candidate.supported()) return &candidate;
  }
  return nullptr;
}

const isa::Isa* best() {
  const isa::Isa* chosen = nullptr;
  for (const isa::Isa& candidate : isa::kIsas) {
    if (candidate.supported()) chosen = &candidate;
  }
  return chosen;
}

std::atomic<const isa::Isa*> active{nullptr};

const isa::Isa& current() {
  const isa::Isa* isa = active.load();
  if (isa == nullptr) {
    isa = best();
    active.store(isa);
  }
  return *isa;
}

}  // namespace

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const isa::Isa& candidate : isa::kIsas) {
    if (candidate.supported()) names.emplace_back(candidate.name);
  }
  return names;
}

std::string active_isa() { return std::string(current().name); }

bool force_isa(std::string_view name) {
  const isa::Isa* chosen = name.empty() ? best() : find(name);
  if (chosen == nullptr) return false;
  active.store(chosen);
  return true;
}

Events gemm(const GemmCall& call) {
  const isa::Kernels* kernels = current().kernels;
  return kernels == nullptr ? reference::gemm(call) : generic::gemm(call, *kernels);
}

Events quantize(const QuantizeCall& call) {
  const isa::Kernels* kernels = current().kernels;
  return kernels == nullptr ? reference::quantize(call) : generic::quantize(call, *kernels);
}

}  // namespace fxsim
