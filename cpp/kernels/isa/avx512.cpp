// Compiled with AVX-512 F, BW, DQ and VL.
#include "kernels/generic/across_loops.hpp"
#include "kernels/generic/batch_norm_vectors.hpp"
#include "kernels/generic/block.hpp"
#include "kernels/generic/copy_loops.hpp"
#include "kernels/generic/lanes.hpp"
#include "kernels/generic/tile_loops.hpp"
#include "kernels/isa/avx512_common.hpp"
#include "kernels/isa/avx512_non_zero.hpp"
#include "kernels/isa/avx512_rounding.hpp"
#include "kernels/isa/isa.hpp"
#include "kernels/steps/draw_ops_avx512.hpp"
#include "kernels/steps/float_ops_avx512.hpp"
#include "kernels/steps/lane_loops.hpp"
#include "kernels/steps/run_ops_avx512.hpp"

namespace fxsim::isa {
namespace {

struct Ops : Avx512Ops {
  // As an instruction of its own, each sum is added at once and in place: GCC 12 else regroups sums and keeps parts of
  // them on the stack.
  static Vector multiply_add(Vector sum, Vector a, Vector b) {
    asm("vpaddd %1, %0, %0" : "+v"(sum) : "v"(_mm512_madd_epi16(a, b)));
    return sum;
  }
};

struct Stream {
  static constexpr int kWidth = 16;
  static void store(float* to, const Floats<16>& v) { _mm512_stream_ps(to, v); }
  static void end() { _mm_sfence(); }
};

void stream_lines(const void* from, std::int64_t bytes, void* to) {
  for (std::int64_t at = 0; at < bytes; at += kStreamLine) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(static_cast<char*>(to) + at),
                        _mm512_load_si512(static_cast<const char*>(from) + at));
  }
}

constexpr Block kBlocks[kBlockChoices] = {make_block<Ops, 6, 4>(), make_block<Ops, 8, 2>(), make_block<Ops, 12, 1>()};

constexpr Runs kRuns = make_runs<Run512>(&draw_run<DrawOps>);

constexpr Steps kSteps{
    .lanes = &kLaneSteps,
    .wide_lanes = &kWideLaneSteps,
    .floats = &kFloatSteps,
    .doubles = &kDoubleSteps,
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

}  // namespace

namespace avx512 {

const RoundTable kRound = kRoundTable;
const LaneSteps<std::int32_t> kLaneSteps = isa::kLaneSteps;
const LaneSteps<std::int64_t> kWideLaneSteps = isa::kWideLaneSteps;
const FloatSteps<float> kFloatSteps = isa::kFloatSteps;
const FloatSteps<double> kDoubleSteps = isa::kDoubleSteps;

const Across kAcross = isa::kAcross;

const NonZero kCounting = with_bytes<ByteOps>(kNonZero);

const BatchNormPasses kBatchNorm = VectorPasses<16, 4, Stream>::kTable;

const Lanes32 kRound32 = kConverting;

void philox(const Key& key, std::uint64_t first, std::int64_t groups, int bits, std::uint32_t* out) {
  philox_fill<SideBySide<PhiloxOps, 2>>(key, first, groups, bits, out);
}

void draw_run(const DrawCall& call) { isa::draw_run<DrawOps>(call); }

const Streaming kStreaming{.lines = &stream_lines, .end = &Stream::end};

void add_shifted(const std::int32_t* values, std::int64_t count, int shift, std::uint64_t* sums) {
  isa::add_shifted(values, count, shift, sums);
}

void add_times(const std::int32_t* values, std::int64_t count, std::uint64_t times, std::uint64_t* sums) {
  isa::add_times(values, count, times, sums);
}

void add_both(const std::int32_t* values, std::int64_t count, std::uint64_t times, double real, std::uint64_t* sums,
              double* about) {
  isa::add_both(values, count, times, real, sums, about);
}

}  // namespace avx512

const Kernels kAvx512{
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
};

}  // namespace fxsim::isa
