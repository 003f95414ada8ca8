// What the bindings of quantizations check alike.
#pragma once

#include "bindings/arrays.hpp"
#include "kernels/api.hpp"
#include "kernels/word_counts.hpp"

namespace fxsim::bindings {

// Counts for the words of a call, which is complete but for them.
inline WordCounts* checked_words(WordCounts* words, const QuantizeCall& call) {
  if (words == nullptr) return nullptr;
  if (is_float(call.out_storage)) throw py::type_error("quantize: out, whose words are counted, is an array of floats");
  const auto& [n, y, x, c] = words->shape;
  if (n * y * x * c != call.in.size()) {
    throw py::value_error("quantize: words has counts of another number of elements");
  }
  if (words->total != 0) throw py::value_error("quantize: words has counts already; give each call its own");
  return words;
}

}  // namespace fxsim::bindings
