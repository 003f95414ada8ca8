// Which ISA runs: the best one of the machine, FXSIM_ISA, or what was forced.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fxsim {

std::vector<std::string> available_isas();
std::string active_isa();
bool force_isa(std::string_view name);  // false: not available here; "" goes back to the default

}  // namespace fxsim
