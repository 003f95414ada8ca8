// Compiled with the dot products of Armv8.2: the neon kernels, but four products of bytes and their sum are one
// instruction.
#include "kernels/generic/copy_loops.hpp"
#include "kernels/generic/tile_loops.hpp"
#include "kernels/isa/isa.hpp"
#include "kernels/isa/neon_common.hpp"

namespace fxsim::isa {
namespace {

struct ByteOps : NeonLanes {
  using NeonLanes::load;
  static Vector ones() { return vreinterpretq_s32_s8(vdupq_n_s8(1)); }
  static Vector load(const std::byte* from) { return load(reinterpret_cast<const std::int32_t*>(from)); }
  static Vector broadcast_group(const std::byte* from) {
    std::int32_t quad;
    __builtin_memcpy(&quad, from, sizeof quad);
    return broadcast(quad);
  }
  static Vector multiply_add(Vector sum, Vector a, Vector b) {
    return vdotq_s32(sum, vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b));
  }
};

constexpr Tiles kBytes{
    .element_bytes = 1,
    .unsigned_image = false,
    .widths = {TileRows<ByteOps, 4, 1, 2, 3, 4, 5, 6>::kWidth,
               TileRows<ByteOps, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12>::kWidth,
               TileRows<ByteOps, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16>::kWidth},
    .outer = make_outer<ByteOps, 4, 4>(),
    .copies = &kCopies,
};

}  // namespace

const Kernels kNeonDot{
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
    .bytes = &kBytes,
};

}  // namespace fxsim::isa
