#define CATCH_CONFIG_RUNNER
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>

#include "kernels/dispatch.hpp"
#include "tests/catch.hpp"

namespace {

// Whether FXSIM_REQUIRE_ISA=name[,name] is met: this machine has each of these paths, and where kernels ran at all,
// they ran on each.
bool required_isas_ran() {
  const char* wanted = std::getenv("FXSIM_REQUIRE_ISA");
  if (wanted == nullptr) return true;
  const auto available = fxsim::available_isas();
  const auto used = fxsim::used_isas();
  const auto& expected = used.empty() ? available : used;
  std::istringstream names{wanted};
  bool met = true;
  for (std::string name; std::getline(names, name, ',');) {
    if (std::find(expected.begin(), expected.end(), name) != expected.end()) continue;
    std::cerr << "FXSIM_REQUIRE_ISA: no test ran a kernel on " << name << '\n';
    met = false;
  }
  return met;
}

}  // namespace

int main(int argc, char** argv) {
  const int failed = Catch::Session().run(argc, argv);
  return failed != 0 || required_isas_ran() ? failed : 1;
}
