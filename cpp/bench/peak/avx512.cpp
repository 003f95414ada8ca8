#include <immintrin.h>

#include "bench/peak/peak.hpp"

namespace fxsim::bench {
namespace {

void madd() {
  const __m512i x = _mm512_set1_epi16(3);
  run_chains(x, [x](__m512i sum) { return _mm512_add_epi32(sum, _mm512_madd_epi16(x, sum)); });
}

void fma() {
  const __m512 x = _mm512_set1_ps(0.5F);
  run_chains(x, [x](__m512 sum) { return _mm512_fmadd_ps(x, sum, x); });
}

}  // namespace

const Peak kPeaksAvx512[kPeaksOfSet] = {{"avx512", "vpmaddwd_vpaddd", kSteps * 32, &madd},
                                        {"avx512", "vfmaddps", kSteps * 16, &fma}};

}  // namespace fxsim::bench
