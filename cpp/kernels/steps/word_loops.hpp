// The steps of WordSteps in AVX-512 VNNI. vpdpwssds adds two 16-bit products to a 32-bit lane and saturates; with one
// word of each row's group 0 it is one step of a saturating accumulator. Internal linkage: a function of one
// instruction set must never be linked in another's place.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/isa/steps.hpp"
#include "kernels/steps/byte_measures.hpp"

namespace fxsim::isa {
namespace {

// The empty statements tie an accumulator to one register: without them GCC 12 copies it around the instruction.
inline __m512i add_saturating(__m512i sum, __m512i words, __m512i group) {
  sum = _mm512_dpwssds_epi32(sum, words, group);
  asm("" : "+v"(sum));
  return sum;
}

inline __m512i add_bytes(__m512i sum, __m512i bytes, __m512i group) {
  sum = _mm512_dpbusd_epi32(sum, group, bytes);
  asm("" : "+v"(sum));
  return sum;
}

// The bytes 0 and 2 of a quad, and the bytes 1 and 3, as words times 2^8.
inline __m512i even_bytes(__m512i quad) { return _mm512_slli_epi16(quad, 8); }
inline __m512i odd_bytes(__m512i quad) { return _mm512_and_si512(quad, _mm512_set1_epi16(static_cast<short>(0xFF00))); }

struct WordLimits {
  __m512i lowest;
  __m512i offset;
  __m128i shift;

  template <class Call>
  explicit WordLimits(const Call& call)
      : lowest(_mm512_set1_epi32(call.lowest)),
        offset(_mm512_set1_epi32(call.offset)),
        shift(_mm_cvtsi32_si128(call.shift)) {}

  __m512i enter(const std::int32_t* held) const {
    return _mm512_add_epi32(_mm512_sll_epi32(_mm512_loadu_si512(held), shift), offset);
  }
  void leave(std::int32_t* held, __m512i lane) const {
    _mm512_storeu_si512(held, _mm512_sra_epi32(_mm512_sub_epi32(lane, offset), shift));
  }
};

// One step. A step that left the range differs from its sum mod 2^32: it was moved by less than 2^32.
template <bool kLowest, bool kCount>
[[gnu::always_inline]] inline void take_step(__m512i& lane, __m512i words, __m512i group, __m512i lowest,
                                             __m512i& overflows) {
  const __m512i before = lane;
  lane = add_saturating(lane, words, group);
  if constexpr (kLowest) {
    lane = _mm512_max_epi32(lane, lowest);
    asm("" : "+v"(lane));
  }
  if constexpr (kCount) {
    const __m512i sum = _mm512_add_epi32(before, _mm512_madd_epi16(words, group));
    overflows = _mm512_mask_add_epi32(overflows, _mm512_cmpneq_epi32_mask(sum, lane), overflows, _mm512_set1_epi32(1));
    asm volatile(""
                 : "+v"(lane),
                   "+v"(overflows));  // else GCC 12 puts the counting off and keeps both values, on the stack
  }
}

inline std::int64_t total_of(__m512i counts) {
  return _mm512_reduce_add_epi64(_mm512_add_epi64(_mm512_cvtepi32_epi64(_mm512_castsi512_si256(counts)),
                                                  _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(counts, 1))));
}

template <int kRows, int kVectors, WordSource kSource, bool kLowest, bool kCount>
std::int64_t run_words(const WordCall& call) {
  constexpr int kCols = kVectors * 16;
  constexpr int kTogether = kSource == kQuads ? 4 : 2;
  const WordLimits limits(call);
  __m512i overflows = _mm512_setzero_si512();
  __m512i lane[kRows][kVectors];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) lane[i][j] = limits.enter(call.held + i * kCols + j * 16);
  }
  const std::byte* columns = call.columns;
  for (std::int64_t k = 0; k < call.depth; k += kTogether) {
    __m512i even[kVectors], odd[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      const __m512i group = _mm512_loadu_si512(columns + j * 64);
      even[j] = kSource == kQuads ? even_bytes(group) : group;
      odd[j] = kSource == kQuads ? odd_bytes(group) : group;
    }
    columns += kVectors * 64;
#pragma GCC unroll 4
    for (int t = 0; t < kTogether; ++t) {
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) {
        const __m512i group = _mm512_set1_epi32(call.rows[i * call.row_stride + k + t]);
#pragma GCC unroll 4
        for (int j = 0; j < kVectors; ++j) {
          take_step<kLowest, kCount>(lane[i][j], t % 2 == 0 ? even[j] : odd[j], group, limits.lowest, overflows);
        }
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) limits.leave(call.held + i * kCols + j * 16, lane[i][j]);
  }
  return kCount ? total_of(overflows) : 0;
}

// A tile in two halves: with the counts, a whole one has too few registers.
template <int kRows, int kVectors, WordSource kSource, bool kLowest>
std::int64_t run_counted_words(const WordCall& call) {
  constexpr int kHalf = kRows / 2;
  WordCall half = call;
  const std::int64_t first = run_words<kHalf, kVectors, kSource, kLowest, true>(half);
  half.rows += kHalf * call.row_stride;
  half.held += kHalf * kVectors * 16;
  return first + run_words<kHalf, kVectors, kSource, kLowest, true>(half);
}

template <bool kLowest, bool kCount>
std::int64_t run_word_list(const WordList& call) {
  const WordLimits limits(call);
  __m512i overflows = _mm512_setzero_si512();
  __m512i lane[kListed];
#pragma GCC unroll 8
  for (int i = 0; i < kListed; ++i) lane[i] = limits.enter(call.held[i]);
  const std::byte* columns = call.columns;
  for (std::int64_t k = 0; k < call.depth; k += 4) {
    const __m512i quad = _mm512_loadu_si512(columns);
    const __m512i words[2] = {even_bytes(quad), odd_bytes(quad)};
    columns += call.column_stride;
#pragma GCC unroll 4
    for (int t = 0; t < 4; ++t) {
#pragma GCC unroll 8
      for (int i = 0; i < kListed; ++i) {
        take_step<kLowest, kCount>(lane[i], words[t % 2], _mm512_set1_epi32(call.rows[i][k + t]), limits.lowest,
                                   overflows);
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kListed; ++i) limits.leave(call.held[i], lane[i]);
  return kCount ? total_of(overflows) : 0;
}

// |S - centre| + norms: at most 2^31 by the bounds of the driver.
[[gnu::always_inline]] inline __m512i reach(__m512i sum, __m512i before, __m512i centre, __m512i row_norm,
                                            __m512i col_norm) {
  const __m512i both = _mm512_sub_epi32(_mm512_add_epi32(sum, before), centre);
  return _mm512_dpwssd_epi32(_mm512_abs_epi32(both), row_norm, col_norm);
}

template <int kRows, int kVectors>
std::uint32_t run_byte_block(const ByteBlock& call) {
  constexpr int kCols = kVectors * 16;
  __m512i sum[kRows][kVectors];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      sum[i][j] = _mm512_sub_epi32(_mm512_loadu_si512(call.held + i * kCols + j * 16),
                                   _mm512_loadu_si512(call.compensation + j * 16));
    }
  }
  const std::byte* columns = call.columns;
  const std::uint8_t* rows = call.rows;
  for (std::int64_t k = 0; k < call.depth; k += 4) {
    __m512i column[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) column[j] = _mm512_loadu_si512(columns + j * 64);
    columns += kVectors * 64;
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      std::int32_t quad;
      __builtin_memcpy(&quad, rows + i * call.row_stride, sizeof quad);
      const __m512i group = _mm512_set1_epi32(quad);
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) sum[i][j] = add_bytes(sum[i][j], column[j], group);
    }
    rows += 4;
  }
  asm("" : : : "memory");  // or GCC would keep what it loaded at the beginning, on the stack
  const __m512i centre = _mm512_set1_epi32(call.centre);
  const __m512i room = _mm512_set1_epi32(call.room);
  __m512i col_norm[kVectors];
#pragma GCC unroll 4
  for (int j = 0; j < kVectors; ++j) col_norm[j] = _mm512_loadu_si512(call.col_norms + j * 16);
  __m512i most = _mm512_setzero_si512();
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
    const __m512i row_norm = _mm512_set1_epi32(call.row_norms[i * call.norm_stride]);
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      const __m512i before = _mm512_loadu_si512(call.held + i * kCols + j * 16);
      most = _mm512_max_epi32(most, reach(sum[i][j], before, centre, row_norm, col_norm[j]));
    }
  }
  std::uint32_t stayed = 0;
  const bool all = _mm512_cmpgt_epi32_mask(most, room) == 0;
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      std::int32_t* held = call.held + i * kCols + j * 16;
      if (!all) {
        const __m512i row_norm = _mm512_set1_epi32(call.row_norms[i * call.norm_stride]);
        const __m512i there = reach(sum[i][j], _mm512_loadu_si512(held), centre, row_norm, col_norm[j]);
        if (_mm512_cmpgt_epi32_mask(there, room) != 0) {
          stayed |= std::uint32_t{1} << (i * kVectors + j);
          continue;
        }
      }
      _mm512_storeu_si512(held, sum[i][j]);
    }
  }
  return stayed;
}

template <int kRows, int kVectors, WordSource kSource, bool kLowest>
constexpr WordRun kWordRun[2] = {&run_words<kRows, kVectors, kSource, kLowest, false>,
                                 &run_counted_words<kRows, kVectors, kSource, kLowest>};

template <int kVectors, int kByteRows, int kWordRows>
constexpr WordTile make_word_tile() {
  return {kVectors * 16,
          kByteRows,
          kWordRows,
          &run_byte_block<kByteRows, kVectors>,
          {{{kWordRun<kWordRows, kVectors, kQuads, false>[0], kWordRun<kWordRows, kVectors, kQuads, false>[1]},
            {kWordRun<kWordRows, kVectors, kQuads, true>[0], kWordRun<kWordRows, kVectors, kQuads, true>[1]}},
           {{kWordRun<kWordRows, kVectors, kPairs, false>[0], kWordRun<kWordRows, kVectors, kPairs, false>[1]},
            {kWordRun<kWordRows, kVectors, kPairs, true>[0], kWordRun<kWordRows, kVectors, kPairs, true>[1]}}}};
}

// Twelve to twenty-four lanes hide the latency of a step and leave registers for a quad's halves.
constexpr WordSteps kWordSteps{
    16,
    {make_word_tile<4, 6, 4>(), make_word_tile<2, 12, 8>(), make_word_tile<1, 12, 12>()},
    {{&run_word_list<false, false>, &run_word_list<false, true>},
     {&run_word_list<true, false>, &run_word_list<true, true>}},
    &measure_bytes,
    &square_quads,
    &widen_bytes,
};

}  // namespace
}  // namespace fxsim::isa
