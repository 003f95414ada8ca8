#include <immintrin.h>

#include "bench/peak/peak.hpp"

namespace fxsim::bench {
namespace {

void madd() {
  const __m256i x = _mm256_set1_epi16(3);
  run_chains(x, [x](__m256i sum) { return _mm256_add_epi32(sum, _mm256_madd_epi16(x, sum)); });
}

void fma() {
  const __m256 x = _mm256_set1_ps(0.5F);
  run_chains(x, [x](__m256 sum) { return _mm256_fmadd_ps(x, sum, x); });
}

}  // namespace

const Peak kPeaksAvx2[kPeaksOfSet] = {{"avx2", "vpmaddwd_vpaddd", kSteps * 16, &madd},
                                      {"avx2", "vfmaddps", kSteps * 8, &fma}};

}  // namespace fxsim::bench
