// Plain C++ for any machine.
#include <algorithm>
#include <cstdint>

#include "kernels/generic/exact_gemm.hpp"
#include "kernels/generic/quantize.hpp"
#include "kernels/generic/step_gemm.hpp"
#include "kernels/isa/isa.hpp"

namespace fxsim::isa {
namespace {

// The exact sum of 32-bit products takes at most 64 + log2 K bits, so uint128 always holds it. A register that wraps
// at every step rounds nothing here (exact_sum_decides), so the last 64 bits decide.
bool sum_fits_64_bits(const GemmCall& call) {
  const Accumulator& acc = call.accumulator;
  if (acc.inner && acc.inner->wraps && !acc.at_end) return true;
  const int bits = call.a.format.magnitude_bits() + call.b.format.magnitude_bits() +
                   ceil_log2(std::max<std::int64_t>(call.a.depth(), 1));
  return bits < 63;
}

Events gemm(const GemmCall& call) {
  Events events;
  const bool exact = generic::exact_sum_decides(call);
  generic::with_width(generic::width_needed(call), [&](auto zero) {
    using I = decltype(zero);
    if (!exact) {
      events = generic::step_gemm<I>(call);
    } else if (sum_fits_64_bits(call)) {
      events = generic::exact_gemm<std::uint64_t, I>(call);
    } else {
      events = generic::exact_gemm<uint128, I>(call);
    }
  });
  return events;
}

}  // namespace

Isa portable() {
  return {"portable", [] { return true; }, &gemm, &generic::quantize};
}

}  // namespace fxsim::isa
