// Which ISA runs: the best one of the machine, FXSIM_ISA, or what was forced.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kernels/cpu.hpp"

namespace fxsim {

// The paths that a processor can run, slowest first; the last one is its default.
std::vector<std::string> isas_of(const Cpu& cpu);
std::vector<std::string> available_isas();  // of this machine
std::vector<std::string> used_isas();       // that have run a kernel since the process started

std::string active_isa();
bool force_isa(std::string_view name);  // false: not available here; "" goes back to the default

}  // namespace fxsim
