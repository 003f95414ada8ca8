// What a processor can do, as far as an instruction set of ours asks for it: plain data, so that tests can make one up.
#pragma once

namespace fxsim {

struct Cpu {
  // x86, and usable: the operating system keeps the registers too.
  bool avx2 = false;
  bool fma = false;
  bool avx512f = false;
  bool avx512bw = false;
  bool avx512dq = false;
  bool avx512vl = false;
  bool avx512vnni = false;
  // aarch64.
  bool asimd = false;
  bool asimddp = false;
};

Cpu this_cpu();

}  // namespace fxsim
