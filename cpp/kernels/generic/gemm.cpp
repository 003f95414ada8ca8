// Chooses, once a call, between the exact sum and the steps, and the integer type that is wide enough.
#include "kernels/generic/gemm.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "kernels/exact/across.hpp"
#include "kernels/exact/across_outer.hpp"
#include "kernels/exact/exact_outer.hpp"
#include "kernels/exact/exact_tiles.hpp"
#include "kernels/generic/exact_gemm.hpp"
#include "kernels/steps/data_bound.hpp"
#include "kernels/steps/stepped.hpp"

namespace fxsim::generic {
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

}  // namespace

Events gemm(const GemmCall& call, const isa::Kernels& kernels) {
  Events events;
  const bool exact = exact_sum_decides(call) || steps::data_stay_inside(call, kernels);
  const bool by_tiles = kernels.words != nullptr && call.a.depth() > 0 && sum_fits_64_bits(call);
  with_width(width_needed(call), [&](auto zero) {
    using I = decltype(zero);
    if (!exact) {
      events = steps::stepped<I>(call, kernels);
    } else if (by_tiles && exact::is_outer(call)) {
      events = exact::ExactOuter<I>(call, kernels).run();
    } else if (by_tiles) {
      events = exact::ExactTiles<I>(call, kernels).run();
    } else if (sum_fits_64_bits(call)) {
      events = ExactGemm<std::uint64_t, I>(call, kernels).run();
    } else {
      events = ExactGemm<uint128, I>(call, kernels).run();
    }
  });
  return events;
}

std::optional<Events> gemm_across(const GemmCall& call, const isa::Kernels& kernels) {
  std::optional<Events> events;
  if (call.a.depth() == 0) return events;
  with_width(width_needed(call), [&](auto zero) {
    using I = decltype(zero);
    const auto run = [&](auto&& all) {
      if (all.possible()) events = all.run();
    };
    if (exact::is_across(call)) {
      run(exact::ExactAcross<I>(call, kernels));
    } else if (exact::is_across_outer(call)) {
      run(exact::AcrossOuter<I>(call, kernels));
    }
  });
  return events;
}

}  // namespace fxsim::generic
