// An instruction set path: its name, whether this machine can run it, and its kernels.
#pragma once

#include <string_view>

#include "kernels/api.hpp"

namespace fxsim::isa {

struct Isa {
  std::string_view name;
  bool (*supported)();
  Events (*gemm)(const GemmCall&);
  Events (*quantize)(const QuantizeCall&);
};

// One function a translation unit.
Isa reference();
Isa portable();

}  // namespace fxsim::isa
