// Plain C++ for any machine.
#include "kernels/generic/dot.hpp"
#include "kernels/generic/lanes.hpp"
#include "kernels/isa/isa.hpp"

namespace fxsim::isa {
namespace {

constexpr Block kBlocks[kBlockChoices] = {kDotBlock, kDotBlock, kDotBlock};

}  // namespace

const Kernels kPortable{&kRoundTable, &philox_scalar, kBlocks, &add_shifted};

}  // namespace fxsim::isa
