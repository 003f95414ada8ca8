// Compiled with AVX-512 F, BW, DQ and VL.
#include "kernels/generic/block.hpp"
#include "kernels/generic/lanes.hpp"
#include "kernels/isa/avx512_common.hpp"
#include "kernels/isa/isa.hpp"

namespace fxsim::isa {
namespace {

struct Ops : Avx512Ops {
  static Vector multiply_add(Vector sum, Vector a, Vector b) { return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b)); }
};

constexpr Kernels kKernels{kRoundTable,
                           &philox,
                           {make_block<Ops, 6, 4, 4>(), make_block<Ops, 8, 8, 2>(), make_block<Ops, 12, 12, 1>()},
                           &add_shifted};

}  // namespace

Isa avx512() {
  return {"avx512", [] { return avx512_supported(); }, &kKernels};
}

}  // namespace fxsim::isa
