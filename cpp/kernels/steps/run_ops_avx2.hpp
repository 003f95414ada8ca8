// Vectors of 32-bit lanes in AVX2, for run_loops.hpp, and their random bits, for draw_loops.hpp.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/isa/avx2_rounding.hpp"
#include "kernels/steps/draw_loops.hpp"
#include "kernels/steps/run_loops.hpp"

namespace fxsim::isa {
namespace {

struct Run256 {
  using Vector = __m256i;
  using Counts = __m256i;
  static constexpr int kLanes = 8;
  static constexpr int kMost = 2;
  static constexpr bool kSaturates = false;
  static Vector load(const std::int32_t* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }
  static void store(std::int32_t* to, Vector v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), v); }
  static Vector broadcast(std::int32_t value) { return _mm256_set1_epi32(value); }
  static Vector add(Vector a, Vector b) { return _mm256_add_epi32(a, b); }
  static Vector subtract(Vector a, Vector b) { return _mm256_sub_epi32(a, b); }
  static Vector multiply(Vector a, Vector b) { return _mm256_madd_epi16(a, b); }
  static Vector multiply_add(Vector sum, Vector a, Vector b) { return add(sum, multiply(a, b)); }
  static Vector both(Vector a, Vector b) { return _mm256_and_si256(a, b); }
  static Vector smaller(Vector a, Vector b) { return _mm256_min_epi32(a, b); }
  static Vector larger(Vector a, Vector b) { return _mm256_max_epi32(a, b); }
  static Vector right(Vector v, Vector bits) { return _mm256_srav_epi32(v, bits); }
  static Vector add_where_negative(Vector v, Vector sum, Vector addend) {
    return add(v, both(_mm256_srai_epi32(sum, 31), addend));
  }
  static Vector add_where_bit(Vector v, Vector sum, Vector bit, Vector addend) {
    return add(v, both(_mm256_cmpeq_epi32(both(sum, bit), bit), addend));
  }
  static Vector where_equal(Vector a, Vector b) { return both(_mm256_cmpeq_epi32(a, b), a); }
  static Counts no_counts() { return _mm256_setzero_si256(); }
  // Minus those that are equal; `all` of them make up for it.
  static Counts count_changed(Counts counts, Vector a, Vector b) {
    counts = add(counts, _mm256_cmpeq_epi32(a, b));
    asm("" : "+x"(counts));  // else GCC 12 puts the counting off and keeps both values, on the stack
    return counts;
  }
  static std::int64_t total(Counts counts, std::int64_t all) {
    std::int32_t lane[kLanes];
    store(lane, counts);
    for (const std::int32_t each : lane) all += each;
    return all;
  }
};

struct DrawOps : PhiloxOps {
  using PhiloxOps::differ;
  static Vector differ(Vector a, Vector b) { return _mm256_xor_si256(a, b); }
  static Vector load(const std::uint64_t* from) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(from)); }
  static void store_pairs(std::int32_t* to, Vector v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), v); }
  static Vector cut_to(int bits) { return _mm256_set_epi64x(0, 0, 0, 16 - bits); }
  static Vector cut(Vector v, Vector by) { return _mm256_srl_epi16(v, _mm256_castsi256_si128(by)); }
  // Bytes 0 and 1, or 2 and 3, of every word at the top of its two halves.
  static Vector first_bytes(Vector v) { return spread(v, 0); }
  static Vector last_bytes(Vector v) { return spread(v, 0x02000200); }
  // The upper halves of the words of both.
  static Vector upper_words(Vector even, Vector odd) {
    return _mm256_blend_epi16(_mm256_srli_epi32(even, 16), odd, 0xAA);
  }

 private:
  static Vector spread(Vector v, std::int32_t from) {
    const Vector places = _mm256_setr_epi32(0x01800080, 0x05800480, 0x09800880, 0x0D800C80,  // 0x80: a zero
                                            0x01800080, 0x05800480, 0x09800880, 0x0D800C80);
    return _mm256_shuffle_epi8(v, _mm256_add_epi8(places, _mm256_set1_epi32(from)));
  }
};

constexpr Runs kRuns = make_runs<Run256>(&draw_run<DrawOps>);

}  // namespace
}  // namespace fxsim::isa
