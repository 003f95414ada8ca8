// Multiply-accumulates by what their operands are, without running through them: every row of a meets every row of b
// at every k, so what a k has of each is counted, and counts are multiplied.
#pragma once

#include <cstdint>

#include "kernels/api.hpp"
#include "kernels/word_counts.hpp"
#include "numbers/operand.hpp"

namespace fxsim {

// Of macs at no structural zero.
struct MacCounts {
  std::int64_t valid = 0;  // all of them
  std::int64_t a_met = 0;  // those whose operand a is not 0
  std::int64_t b_met = 0;
  std::int64_t both_met = 0;
  std::int64_t nnz_a = 0;  // elements of the operands that are not 0, once each a product
  std::int64_t nnz_b = 0;

  void merge(const MacCounts& other) {
    valid += other.valid;
    a_met += other.a_met;
    b_met += other.b_met;
    both_met += other.both_met;
    nnz_a += other.nnz_a;
    nnz_b += other.nnz_b;
  }
};

// Of the products that `repeat` makes of a and b, which have one depth, and k run over taps in both or pixels in both.
// Where the counts of all words that an operand shows are given, and are of its shape, they are taken for looked up.
MacCounts count_macs(const Operand& a, const Operand& b, const Repeat& repeat, const WordCounts* of_a = nullptr,
                     const WordCounts* of_b = nullptr);

}  // namespace fxsim
