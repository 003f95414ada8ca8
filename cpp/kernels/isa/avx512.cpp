// Compiled with AVX-512 F, BW, DQ and VL.
#include "kernels/generic/batch_norm_vectors.hpp"
#include "kernels/generic/block.hpp"
#include "kernels/generic/lanes.hpp"
#include "kernels/isa/avx512_common.hpp"
#include "kernels/isa/isa.hpp"

namespace fxsim::isa {
namespace {

// Low and high halves of sixteen 32-bit products.
struct Product {
  __m512i low, high;
};

inline Product multiply(__m512i a, __m512i multiplier) {
  constexpr __mmask16 kOdd = 0xAAAA;
  const __m512i even = _mm512_mul_epu32(a, multiplier);
  const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), multiplier);
  return {_mm512_mask_blend_epi32(kOdd, even, _mm512_slli_epi64(odd, 32)),
          _mm512_mask_blend_epi32(kOdd, _mm512_srli_epi64(even, 32), odd)};
}

struct Ops : Avx512Ops {
  static Vector multiply_add(Vector sum, Vector a, Vector b) { return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b)); }
};

struct Stream {
  static constexpr int kWidth = 16;
  static void store(float* to, const Floats<16>& v) { _mm512_stream_ps(to, v); }
  static void end() { _mm_sfence(); }
};

constexpr Block kBlocks[kBlockChoices] = {make_block<Ops, 6, 4, 4>(), make_block<Ops, 8, 8, 2>(),
                                          make_block<Ops, 12, 12, 1>()};

}  // namespace

namespace avx512 {

const RoundTable kRound = kRoundTable;

const BatchNormPasses kBatchNorm = VectorPasses<16, 4, Stream>::kTable;

// A counter's upper half is the same in all lanes unless the lower one passes 2^32 within them, which it cannot: the
// sixteen blocks start at a multiple of 16.
void philox(std::uint64_t first, std::uint64_t stream, std::uint64_t seed, std::uint32_t word[4][16]) {
  const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i multiplier0 = _mm512_set1_epi32(static_cast<int>(0xD2511F53));
  const __m512i multiplier1 = _mm512_set1_epi32(static_cast<int>(0xCD9E8D57));
  __m512i c0 = _mm512_add_epi32(_mm512_set1_epi32(static_cast<int>(first)), lane);
  __m512i c1 = _mm512_set1_epi32(static_cast<int>(first >> 32));
  __m512i c2 = _mm512_set1_epi32(static_cast<int>(stream));
  __m512i c3 = _mm512_set1_epi32(static_cast<int>(stream >> 32));
  __m512i key0 = _mm512_set1_epi32(static_cast<int>(seed));
  __m512i key1 = _mm512_set1_epi32(static_cast<int>(seed >> 32));
  for (int round = 0; round < 10; ++round) {
    const Product p0 = multiply(c0, multiplier0);
    const Product p1 = multiply(c2, multiplier1);
    c0 = _mm512_xor_si512(_mm512_xor_si512(p1.high, c1), key0);
    c1 = p1.low;
    c2 = _mm512_xor_si512(_mm512_xor_si512(p0.high, c3), key1);
    c3 = p0.low;
    key0 = _mm512_add_epi32(key0, _mm512_set1_epi32(static_cast<int>(0x9E3779B9)));
    key1 = _mm512_add_epi32(key1, _mm512_set1_epi32(static_cast<int>(0xBB67AE85)));
  }
  _mm512_storeu_si512(word[0], c0);
  _mm512_storeu_si512(word[1], c1);
  _mm512_storeu_si512(word[2], c2);
  _mm512_storeu_si512(word[3], c3);
}

void add_shifted(const std::int32_t* values, std::int64_t count, int shift, std::uint64_t* sums) {
  isa::add_shifted(values, count, shift, sums);
}

}  // namespace avx512

const Kernels kAvx512{
    .round = &avx512::kRound,
    .philox = &avx512::philox,
    .blocks = kBlocks,
    .add_shifted = &avx512::add_shifted,
    .batch_norm = &avx512::kBatchNorm,
};

}  // namespace fxsim::isa
