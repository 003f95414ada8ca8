// Compiled with AVX-512 F, BW, DQ, VL and VNNI: the avx512 kernels, but multiply and add are one instruction.
#include "kernels/generic/block.hpp"
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

constexpr Block kBlocks[kBlockChoices] = {make_block<Ops, 6, 4, 4>(), make_block<Ops, 8, 8, 2>(),
                                          make_block<Ops, 12, 12, 1>()};

}  // namespace

const Kernels kAvx512Vnni{
    .round = &avx512::kRound,
    .lanes32 = &avx512::kRound32,
    .philox = &avx512::philox,
    .blocks = kBlocks,
    .add_shifted = &avx512::add_shifted,
    .batch_norm = &avx512::kBatchNorm,
};

}  // namespace fxsim::isa
