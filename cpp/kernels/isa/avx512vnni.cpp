// Compiled with AVX-512 F, BW, DQ, VL and VNNI: multiply and add in one instruction.
#include "kernels/generic/block.hpp"
#include "kernels/generic/lanes.hpp"
#include "kernels/isa/avx512_common.hpp"
#include "kernels/isa/isa.hpp"

namespace fxsim::isa {
namespace {

struct Ops : Avx512Ops {
  // The empty statement ties the sum to one register: without it GCC 12 copies every accumulator around vpdpwssd.
  static Vector multiply_add(Vector sum, Vector a, Vector b) {
    sum = _mm512_dpwssd_epi32(sum, a, b);
    asm("" : "+v"(sum));
    return sum;
  }
};

constexpr Kernels kKernels{kRoundTable,
                           &philox,
                           {make_block<Ops, 6, 4, 4>(), make_block<Ops, 8, 8, 2>(), make_block<Ops, 12, 12, 1>()},
                           &add_shifted};

}  // namespace

Isa avx512vnni() {
  return {"avx512vnni", [] { return avx512_supported() && __builtin_cpu_supports("avx512vnni") != 0; }, &kKernels};
}

}  // namespace fxsim::isa
