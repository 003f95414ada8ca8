#include "kernels/dispatch.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "tests/catch.hpp"

namespace fxsim {
namespace {

TEST_CASE("every available path can be forced, and nothing else") {
  const auto names = available_isas();
  REQUIRE(std::find(names.begin(), names.end(), "reference") != names.end());
  REQUIRE(std::find(names.begin(), names.end(), "portable") != names.end());
  for (const std::string& name : names) {
    REQUIRE(force_isa(name));
    REQUIRE(active_isa() == name);
  }
  REQUIRE(!force_isa("mmx"));
  REQUIRE(active_isa() == names.back());
  REQUIRE(force_isa(""));
  REQUIRE(active_isa() != "reference");
}

using Names = std::vector<std::string>;

TEST_CASE("a processor without vector units gets the plain paths") {
  REQUIRE(isas_of(Cpu{}) == Names{"reference", "portable"});
}

#if defined(__x86_64__)
TEST_CASE("what an x86 processor has decides which paths it gets, slowest first") {
  constexpr Cpu kAvx2{.avx2 = true, .fma = true};
  REQUIRE(isas_of(kAvx2) == Names{"reference", "portable", "avx2"});

  Cpu cpu = kAvx2;
  cpu.avx512f = cpu.avx512bw = cpu.avx512dq = cpu.avx512vl = true;
  REQUIRE(isas_of(cpu) == Names{"reference", "portable", "avx2", "avx512"});
  cpu.avx512vnni = true;
  REQUIRE(isas_of(cpu) == Names{"reference", "portable", "avx2", "avx512", "avx512vnni"});
}

TEST_CASE("an x86 processor that lacks one feature of a path does not get it") {
  constexpr bool Cpu::*kNeededByAvx512[] = {&Cpu::avx512f, &Cpu::avx512bw, &Cpu::avx512dq, &Cpu::avx512vl};
  constexpr Cpu kEverything{.avx2 = true,
                            .fma = true,
                            .avx512f = true,
                            .avx512bw = true,
                            .avx512dq = true,
                            .avx512vl = true,
                            .avx512vnni = true};
  for (const auto missing : kNeededByAvx512) {
    Cpu cpu = kEverything;
    cpu.*missing = false;
    REQUIRE(isas_of(cpu) == Names{"reference", "portable", "avx2"});
  }
  for (const auto missing : {&Cpu::avx2, &Cpu::fma}) {
    Cpu cpu = kEverything;
    cpu.*missing = false;
    REQUIRE(isas_of(cpu) == Names{"reference", "portable"});
  }
}
#elif defined(__aarch64__)
TEST_CASE("what an aarch64 processor has decides which paths it gets, slowest first") {
  REQUIRE(isas_of({.asimd = true}) == Names{"reference", "portable", "neon"});
  REQUIRE(isas_of({.asimd = true, .asimddp = true}) == Names{"reference", "portable", "neon", "neon_dot"});
  REQUIRE(isas_of({.asimddp = true}) == Names{"reference", "portable"});
}
#endif

}  // namespace
}  // namespace fxsim
