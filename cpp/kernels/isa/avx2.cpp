// Compiled with AVX2: rounding as the portable path has it, in 256-bit vectors; multiply-add blocks of our own.
#include <immintrin.h>

#include "kernels/generic/across_loops.hpp"
#include "kernels/generic/batch_norm_vectors.hpp"
#include "kernels/generic/block.hpp"
#include "kernels/generic/copy_loops.hpp"
#include "kernels/generic/lanes.hpp"
#include "kernels/generic/non_zero_bits.hpp"
#include "kernels/generic/tile_loops.hpp"
#include "kernels/isa/avx2_rounding.hpp"
#include "kernels/isa/isa.hpp"
#include "kernels/steps/float_ops_avx2.hpp"
#include "kernels/steps/lane_loops.hpp"
#include "kernels/steps/run_ops_avx2.hpp"

namespace fxsim::isa {
namespace {

struct Ops {
  using Vector = __m256i;
  static constexpr int kLanes = 8;
  static constexpr int kBytes = 32;
  static constexpr int kRegisters = 16;
  static Vector ones() { return _mm256_set1_epi16(1); }
  static Vector zero() { return _mm256_setzero_si256(); }
  static Vector add(Vector a, Vector b) { return _mm256_add_epi32(a, b); }
  static Vector load(const std::int16_t* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }
  static Vector load(const std::byte* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }
  static Vector load(const std::int32_t* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }
  static Vector broadcast_pair(const std::int16_t* from) {
    std::int32_t pair;
    __builtin_memcpy(&pair, from, sizeof pair);
    return _mm256_set1_epi32(pair);
  }
  static Vector broadcast_group(const std::byte* from) {
    std::int32_t group;
    __builtin_memcpy(&group, from, sizeof group);
    return _mm256_set1_epi32(group);
  }
  // As an instruction of its own, each sum is added at once and in place: GCC 12 else regroups sums and keeps parts of
  // them on the stack.
  static Vector multiply_add(Vector sum, Vector a, Vector b) {
    asm("vpaddd %1, %0, %0" : "+x"(sum) : "x"(_mm256_madd_epi16(a, b)));
    return sum;
  }
  static void store(std::int32_t* to, Vector v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), v); }
  static void store(float* to, __m256 v) { _mm256_storeu_ps(to, v); }
  static void stream(std::int32_t* to, Vector v) { _mm256_stream_si256(reinterpret_cast<__m256i*>(to), v); }
  static void stream(float* to, __m256 v) { _mm256_stream_ps(to, v); }
  static __m256 scaled(Vector v, float step) { return _mm256_mul_ps(_mm256_cvtepi32_ps(v), _mm256_set1_ps(step)); }
};

struct ByteOps {
  using Mask = std::uint32_t;
  // Bit i: whether words[i] is not 0, and sums[i] grows then.
  static Mask add_bits(const void* words, std::uint8_t* sums) {
    const __m256i zeros = _mm256_cmpeq_epi8(_mm256_loadu_si256(static_cast<const __m256i*>(words)), Ops::zero());
    const __m256i grown = _mm256_sub_epi8(Ops::load(reinterpret_cast<const std::byte*>(sums)), _mm256_set1_epi8(-1));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums), _mm256_add_epi8(grown, zeros));
    return ~static_cast<Mask>(_mm256_movemask_epi8(zeros));
  }
};

constexpr NonZero kBytesNonZero = with_bytes<ByteOps>(kNonZero);

struct Stream {
  static constexpr int kWidth = 8;
  static void store(float* to, const Floats<8>& v) { _mm256_stream_ps(to, v); }
  static void end() { _mm_sfence(); }
};

void stream_lines(const void* from, std::int64_t bytes, void* to) {
  for (std::int64_t at = 0; at < bytes; at += static_cast<std::int64_t>(sizeof(__m256i))) {
    const auto* line = reinterpret_cast<const __m256i*>(static_cast<const char*>(from) + at);
    _mm256_stream_si256(reinterpret_cast<__m256i*>(static_cast<char*>(to) + at), _mm256_load_si256(line));
  }
}

constexpr Streaming kStreaming{.lines = &stream_lines, .end = &Stream::end};

constexpr Block kBlock = make_block<Ops, 6, 2>();
constexpr Block kBlocks[kBlockChoices] = {kBlock, kBlock, kBlock};

constexpr TileWidth kSixteen = TileRows<Ops, 2, 1, 2, 3, 4, 5, 6>::kWidth;
constexpr Tiles kWords{
    .element_bytes = 2,
    .unsigned_image = false,
    .widths = {kSixteen, kSixteen, TileRows<Ops, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12>::kWidth},
    .outer = make_outer<Ops, 4, 3>(),
    .copies = &kCopies,
};

constexpr Steps kSteps{
    .lanes = &kLaneSteps,
    .wide_lanes = &kWideLaneSteps,
    .floats = &kFloatSteps,
    .doubles = &kDoubleSteps,
    .runs = &kRuns,
};

}  // namespace

const Kernels kAvx2{
    .round = &kRoundTable,
    .lanes32 = &kConverting,
    .philox = &philox_fill<SideBySide<PhiloxOps, 2>>,
    .blocks = kBlocks,
    .add_shifted = &add_shifted,
    .add_times = &add_times,
    .add_both = &add_both,
    .batch_norm = &VectorPasses<8, 2, Stream>::kTable,
    .across = &kAcross,
    .non_zero = &kBytesNonZero,
    .steps = &kSteps,
    .streaming = &kStreaming,
    .words = &kWords,
};

}  // namespace fxsim::isa
