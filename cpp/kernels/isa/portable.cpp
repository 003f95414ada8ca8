// Plain C++ for any machine.
#include "kernels/generic/across_loops.hpp"
#include "kernels/generic/batch_norm_vectors.hpp"
#include "kernels/generic/dot.hpp"
#include "kernels/generic/lanes.hpp"
#include "kernels/generic/lanes32.hpp"
#include "kernels/generic/non_zero_loops.hpp"
#include "kernels/isa/isa.hpp"
#include "kernels/steps/lane_loops.hpp"

namespace fxsim::isa {
namespace {

constexpr Block kBlocks[kBlockChoices] = {kDotBlock, kDotBlock, kDotBlock};

constexpr Steps kSteps{
    .lanes = &kLaneSteps,
    .wide_lanes = &kWideLaneSteps,
};

}  // namespace

const Kernels kPortable{
    .round = &kRoundTable,
    .lanes32 = &kLanes32,
    .philox = &philox_scalar,
    .blocks = kBlocks,
    .add_shifted = &add_shifted,
    .add_times = &add_times,
    .add_both = &add_both,
    .batch_norm = &VectorPasses<4, 2>::kTable,
    .across = &kAcross,
    .non_zero = &kNonZero,
    .steps = &kSteps,
};

}  // namespace fxsim::isa
