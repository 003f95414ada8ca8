// The instructions by which AVX-512 counts bytes that are not 0, for non_zero_bits.hpp.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/generic/non_zero_bits.hpp"

namespace fxsim::isa {
namespace {

struct ByteOps {
  using Mask = std::uint64_t;
  // Bit i: whether words[i] is not 0, and sums[i] grows then.
  static Mask add_bits(const void* words, std::uint8_t* sums) {
    const __m512i vector = _mm512_loadu_si512(words);
    const __mmask64 found = _mm512_test_epi8_mask(vector, vector);
    const __m512i old = _mm512_loadu_si512(sums);
    _mm512_storeu_si512(sums, _mm512_mask_sub_epi8(old, found, old, _mm512_set1_epi8(-1)));
    return found;
  }
};

}  // namespace
}  // namespace fxsim::isa
