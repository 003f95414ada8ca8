// What every aarch64 processor has.
#include "kernels/generic/across_loops.hpp"
#include "kernels/generic/batch_norm_vectors.hpp"
#include "kernels/generic/copy_loops.hpp"
#include "kernels/generic/lanes.hpp"
#include "kernels/generic/lanes32.hpp"
#include "kernels/generic/non_zero_loops.hpp"
#include "kernels/generic/philox_lanes.hpp"
#include "kernels/generic/tile_loops.hpp"
#include "kernels/isa/isa.hpp"
#include "kernels/isa/neon_common.hpp"
#include "kernels/steps/lane_loops.hpp"

namespace fxsim::isa {
namespace {

// Low and high halves of four 32-bit products.
struct Product {
  uint32x4_t low, high;
};

inline Product multiply(uint32x4_t a, uint32x2_t multiplier) {
  const uint32x4_t lower = vreinterpretq_u32_u64(vmull_u32(vget_low_u32(a), multiplier));
  const uint32x4_t upper = vreinterpretq_u32_u64(vmull_high_u32(a, vcombine_u32(multiplier, multiplier)));
  return {vuzp1q_u32(lower, upper), vuzp2q_u32(lower, upper)};
}

// Four of the sixteen counters.
inline void philox_four(const RoundKeys& keys, std::uint64_t stream, std::uint64_t upper, std::uint32_t first,
                        std::uint32_t (*word)[16], int lane) {
  constexpr std::uint32_t kStep[4] = {0, 1, 2, 3};
  const uint32x2_t multiplier0 = vdup_n_u32(0xD2511F53);
  const uint32x2_t multiplier1 = vdup_n_u32(0xCD9E8D57);
  uint32x4_t c0 = vaddq_u32(vdupq_n_u32(first + static_cast<std::uint32_t>(lane)), vld1q_u32(kStep));
  uint32x4_t c1 = vdupq_n_u32(static_cast<std::uint32_t>(upper));
  uint32x4_t c2 = vdupq_n_u32(static_cast<std::uint32_t>(stream));
  uint32x4_t c3 = vdupq_n_u32(static_cast<std::uint32_t>(stream >> 32));
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const uint32x4_t key0 = vdupq_n_u32(static_cast<std::uint32_t>(keys.first[round]));
    const uint32x4_t key1 = vdupq_n_u32(static_cast<std::uint32_t>(keys.second[round]));
    const Product p0 = multiply(c0, multiplier0);
    const Product p1 = multiply(c2, multiplier1);
    c0 = veorq_u32(veorq_u32(p1.high, c1), key0);
    c1 = p1.low;
    c2 = veorq_u32(veorq_u32(p0.high, c3), key1);
    c3 = p0.low;
  }
  vst1q_u32(word[0] + lane, c0);
  vst1q_u32(word[1] + lane, c1);
  vst1q_u32(word[2] + lane, c2);
  vst1q_u32(word[3] + lane, c3);
}

struct Philox {
  static constexpr int kBlocks = 16;
  static void words(const RoundKeys& keys, std::uint64_t stream, std::uint64_t upper, std::uint32_t first,
                    std::uint32_t (*word)[kBlocks]) {
    for (int lane = 0; lane < kBlocks; lane += 4) philox_four(keys, stream, upper, first, word, lane);
  }
};

constexpr Steps kOwnSteps{.lanes = &kLaneSteps, .wide_lanes = &kWideLaneSteps};

}  // namespace

namespace neon {

const RoundTable kRound = kRoundTable;
const Steps kSteps = kOwnSteps;

const Lanes32 kRound32 = kLanes32;

const Across kAcross = isa::kAcross;

const NonZero kCounting = kNonZero;

const BatchNormPasses kBatchNorm = VectorPasses<4, 4>::kTable;

const Block kBlocks[kBlockChoices] = {make_neon_block<4, 4>(), make_neon_block<8, 2>(), make_neon_block<12, 1>()};

const Tiles kWords{
    .element_bytes = 2,
    .unsigned_image = false,
    .widths = {TileRows<NeonOps, 4, 1, 2, 3, 4, 5, 6>::kWidth,
               TileRows<NeonOps, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12>::kWidth,
               TileRows<NeonOps, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16>::kWidth},
    .outer = make_outer<NeonOps, 4, 4>(),
    .copies = &kCopies,
};

void philox(const Key& key, std::uint64_t first, std::int64_t groups, int bits, std::uint32_t* out) {
  philox_fill<Philox>(key, first, groups, bits, out);
}

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

}  // namespace neon

const Kernels kNeon{
    .round = &neon::kRound,
    .lanes32 = &neon::kRound32,
    .philox = &neon::philox,
    .blocks = neon::kBlocks,
    .add_shifted = &neon::add_shifted,
    .add_times = &neon::add_times,
    .add_both = &neon::add_both,
    .batch_norm = &neon::kBatchNorm,
    .across = &neon::kAcross,
    .non_zero = &neon::kCounting,
    .steps = &neon::kSteps,
    .words = &neon::kWords,
};

}  // namespace fxsim::isa
