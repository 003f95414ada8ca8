// Values that Python builds once and hands to the kernels.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "bindings/arrays.hpp"
#include "kernels/api.hpp"
#include "kernels/exact/pack_store.hpp"
#include "numbers/operand.hpp"

namespace fxsim::bindings {

using Int64Array = py::array_t<std::int64_t, py::array::c_style>;

// How many products, and how far each finds a, b, out, its indices and its bias from the last one's.
using RepeatFields = std::array<std::int64_t, 6>;

inline Repeat make_repeat(const RepeatFields& fields, const std::string& name) {
  if (fields[0] < 0) throw py::value_error(name + ": repeat begins with the number of products, and that is negative");
  return {fields[0], fields[1], fields[2], fields[3], fields[4], fields[5]};
}

// Keeps the array behind the view alive, and what is packed of it.
struct BoundOperand {
  py::array array;
  Operand view;
  std::shared_ptr<exact::PackStore> store;
};

// Products that are alike, but for their arrays.
struct Product {
  Operand a;  // where it is of words to come: without its data
  Accumulator accumulator;
  int bias_fl = 0;
  Quantizer output;
  bool output_rounds = false;
  std::int64_t columns = 0;  // of the whole result, from one row to the next
  Repeat repeat;
};

}  // namespace fxsim::bindings
