#include "bindings/faults.hpp"

#include <algorithm>
#include <vector>

namespace fxsim::bindings {
namespace {

[[noreturn]] void raise_overflow(const std::string& text) {
  PyErr_SetString(PyExc_OverflowError, text.c_str());
  throw py::error_already_set();
}

std::string value_text(const Integer& value) {
  if (value.beyond > 0) return "a value of 2^63 or more";
  if (value.beyond < 0) return "a value below -2^63";
  return std::to_string(value.low);
}

std::string range_text(const Format& f) {
  return f.text() + " (" + std::to_string(f.raw_min()) + ".." + std::to_string(f.raw_max()) + ")";
}

std::string part_text(Fault::Phase phase) {
  switch (phase) {
    case Fault::kPreload: return "the preloaded bias";
    case Fault::kProduct: return "the product";
    case Fault::kStep: return "the accumulator";
    default: return "the output";
  }
}

std::string index_text(std::int64_t flat, const StridedArray& array, bool channels_last) {
  std::vector<std::int64_t> index(static_cast<std::size_t>(array.dims));
  for (std::size_t d = index.size(); d-- > 0;) {
    index[d] = flat % array.shape[d];
    flat /= array.shape[d];
  }
  if (channels_last && index.size() > 2) std::rotate(index.begin() + 1, index.end() - 1, index.end());
  std::string text = "(";
  for (std::size_t d = 0; d < index.size(); ++d) text += (d > 0 ? ", " : "") + std::to_string(index[d]);
  return text + (index.size() == 1 ? ",)" : ")");
}

}  // namespace

void raise_gemm_fault(const Fault& fault, const std::string& name) {
  if (!fault.found()) return;
  const std::string at = " at output index " + std::to_string(fault.index);
  if (fault.phase == Fault::kDoesNotFit) {
    raise_overflow(name + ": the exact result" + at + " does not fit " + range_text(fault.format) +
                   "; name an output format or an accumulator width");
  }
  const std::string step = fault.k >= 0 ? ", k = " + std::to_string(fault.k) : "";
  raise_overflow(name + ": " + part_text(fault.phase) + " overflows" + at + step + ": " + value_text(fault.value) +
                 " is outside " + range_text(fault.format) + "; widen it, or choose another overflow mode");
}

void raise_quantize_fault(const Fault& fault, const std::string& name, const StridedArray& array, bool channels_last) {
  if (!fault.found()) return;
  const std::string element = name + ": element " + index_text(fault.index, array, channels_last);
  if (fault.phase == Fault::kNan) {
    throw py::value_error(element + " is NaN; only numbers can be quantized: replace it first");
  }
  if (fault.phase == Fault::kInfinite) {
    raise_overflow(element + " is infinite, which " + fault.format.text() +
                   " takes under the saturating modes only; choose overflow=\"saturate\" or replace it");
  }
  raise_overflow(element + " rounds to raw " + value_text(fault.value) + ", outside " + range_text(fault.format) +
                 "; widen the format, or choose another overflow mode");
}

}  // namespace fxsim::bindings
