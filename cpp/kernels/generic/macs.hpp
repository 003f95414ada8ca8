// Macs by what their operands are, with the loops of one instruction set.
#pragma once

#include "kernels/isa/non_zero.hpp"
#include "kernels/macs.hpp"

namespace fxsim::generic {

MacCounts count_macs(const Operand& a, const Operand& b, const Repeat& repeat, const WordCounts* of_a,
                     const WordCounts* of_b, const isa::NonZero& kernels);

}  // namespace fxsim::generic
