// What several bindings ask of their arguments alike.
#pragma once

#include <optional>
#include <string>

#include "bindings/types.hpp"
#include "kernels/word_counts.hpp"

namespace fxsim::bindings {

inline void check_depths(const Operand& a, const Operand& b, const char* name) {
  if (a.depth() == b.depth()) return;
  throw py::value_error(std::string(name) + ": k runs to " + std::to_string(a.depth()) + " in a and to " +
                        std::to_string(b.depth()) + " in b; they must be equal");
}

inline const std::int64_t* checked_bias(const std::optional<Int64Array>& bias, std::int64_t columns, const char* name) {
  if (!bias) return nullptr;
  if (bias->size() != columns) {
    throw py::value_error(std::string(name) + ": bias has " + std::to_string(bias->size()) + " elements for " +
                          std::to_string(columns) + " columns");
  }
  return bias->data();
}

// Counts for the words that `out` will hold.
inline WordCounts* checked_words(WordCounts* words, const py::array& out) {
  if (words == nullptr) return nullptr;
  checked_storage(out, Accept::kIntegers, "quantize: out, whose words are counted,");
  const auto& [n, y, x, c] = words->shape;
  if (n * y * x * c != out.size()) throw py::value_error("quantize: words has counts of another number of elements");
  if (words->total != 0) throw py::value_error("quantize: words has counts already; give each call its own");
  return words;
}

// Operands of one product, whose macs are counted by k.
inline void check_alike(const Operand& a, const Operand& b, const std::string& name) {
  const bool alike = a.transposed == b.transposed && a.depth() == b.depth();
  if (!alike || (a.transposed && (a.pixels.n != b.pixels.n || a.pixels.y != b.pixels.y))) {
    throw py::value_error(name + ": k runs over other things in a than in b; it takes operands of one product");
  }
}

}  // namespace fxsim::bindings
