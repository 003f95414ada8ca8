#include <immintrin.h>

#include "bench/peak/peak.hpp"

namespace fxsim::bench {
namespace {

void bytes() {
  const __m512i x = _mm512_set1_epi8(3);
  run_chains(x, [x](__m512i sum) { return _mm512_dpbusd_epi32(sum, x, x); });
}

void words() {
  const __m512i x = _mm512_set1_epi16(3);
  run_chains(x, [x](__m512i sum) { return _mm512_dpwssd_epi32(sum, x, x); });
}

}  // namespace

const Peak kPeaksAvx512Vnni[kPeaksOfSet] = {{"avx512vnni", "vpdpbusd", kSteps * 64, &bytes},
                                            {"avx512vnni", "vpdpwssd", kSteps * 32, &words}};

}  // namespace fxsim::bench
