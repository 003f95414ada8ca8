// Compiled with AVX-512 F, BW, DQ, VL and VNNI: the avx512 kernels, but multiply and add are one instruction.
#include "kernels/generic/block.hpp"
#include "kernels/generic/copy_loops.hpp"
#include "kernels/generic/tile_loops.hpp"
#include "kernels/isa/avx512_common.hpp"
#include "kernels/isa/avx512_copies.hpp"
#include "kernels/isa/isa.hpp"
#include "kernels/steps/run_ops_avx512.hpp"
#include "kernels/steps/word_loops.hpp"

namespace fxsim::isa {
namespace {

struct ByteOps : Avx512Ops {
  static Vector ones() { return _mm512_set1_epi8(1); }
  static Vector multiply_add(Vector sum, Vector a, Vector b) {
    sum = _mm512_dpbusd_epi32(sum, a, b);
    asm("" : "+v"(sum));  // as below
    return sum;
  }
};

struct Ops : Avx512Ops {
  // The empty statement ties the sum to one register: without it GCC 12 copies every accumulator around vpdpwssd.
  static Vector multiply_add(Vector sum, Vector a, Vector b) {
    sum = _mm512_dpwssd_epi32(sum, a, b);
    asm("" : "+v"(sum));
    return sum;
  }
};

struct RunOps : Run512 {
  static constexpr bool kSaturates = true;
  static Vector multiply_saturate(Vector sum, Vector a, Vector b) { return _mm512_dpwssds_epi32(sum, a, b); }
  static Vector multiply_add(Vector sum, Vector a, Vector b) { return _mm512_dpwssd_epi32(sum, a, b); }
};

constexpr Runs kRuns = make_runs<RunOps>(&avx512::draw_run);

constexpr Block kBlocks[kBlockChoices] = {make_block<Ops, 6, 4>(), make_block<Ops, 8, 2>(), make_block<Ops, 12, 1>()};

constexpr Steps kSteps{
    .lanes = &avx512::kLaneSteps,
    .wide_lanes = &avx512::kWideLaneSteps,
    .floats = &avx512::kFloatSteps,
    .doubles = &avx512::kDoubleSteps,
    .words = &kWordSteps,
    .runs = &kRuns,
};

constexpr Tiles kWords{
    .element_bytes = 2,
    .unsigned_image = false,
    .widths = {TileRows<Ops, 4, 1, 2, 3, 4, 5, 6>::kWidth,
               with_band<Ops, 8, 2>(TileRows<Ops, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>::kWidth),
               with_band<Ops, 16, 1>(TileRows<Ops, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16>::kWidth)},
    .outer = make_outer<Ops, 8, 3>(),
    .copies = &kCopies,
};

constexpr Tiles kBytes{
    .element_bytes = 1,
    .unsigned_image = true,
    .widths = {TileRows<ByteOps, 4, 1, 2, 3, 4, 5, 6>::kWidth,
               with_band<ByteOps, 8, 2>(TileRows<ByteOps, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>::kWidth),
               with_band<ByteOps, 16, 1>(
                   TileRows<ByteOps, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16>::kWidth)},
    .outer = make_outer<ByteOps, 8, 3>(),
    .copies = &kCopiesByLanes,
};

}  // namespace

const Kernels kAvx512Vnni{
    .round = &avx512::kRound,
    .lanes32 = &avx512::kRound32,
    .philox = &avx512::philox,
    .blocks = kBlocks,
    .add_shifted = &avx512::add_shifted,
    .add_times = &avx512::add_times,
    .add_both = &avx512::add_both,
    .batch_norm = &avx512::kBatchNorm,
    .across = &avx512::kAcross,
    .non_zero = &avx512::kCounting,
    .steps = &kSteps,
    .streaming = &avx512::kStreaming,
    .words = &kWords,
    .bytes = &kBytes,
};

}  // namespace fxsim::isa
