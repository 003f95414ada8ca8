// The reference and every instruction set of this machine, one after the other through the public entry points.
#pragma once

#include <string>

#include "kernels/dispatch.hpp"
#include "tests/catch.hpp"

namespace fxsim::testing {

// What f returns while the named path is the active one.
template <class F>
auto under(const std::string& isa, const F& f) {
  REQUIRE(force_isa(isa));
  auto result = f();
  REQUIRE(force_isa(""));
  return result;
}

// Calls f(name) for every path but the reference.
template <class F>
void for_each_path(const F& f) {
  for (const std::string& isa : available_isas()) {
    if (isa != "reference") f(isa);
  }
}

}  // namespace fxsim::testing
