// The ordered table of ISAs, slowest first: the last one that the machine supports is the default.
#pragma once

#include <array>

#include "kernels/isa/isa.hpp"

namespace fxsim::isa {

inline const std::array kIsas {
  reference(),     //
      portable(),  //
#if defined(__x86_64__)
      avx2(),        //
      avx512(),      //
      avx512vnni(),  //
#endif
};

}  // namespace fxsim::isa
