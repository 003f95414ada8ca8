#include <pybind11/stl.h>

#include <array>
#include <optional>
#include <string>

#include "bindings/checks.hpp"
#include "bindings/faults.hpp"
#include "bindings/register.hpp"
#include "bindings/types.hpp"
#include "kernels/api.hpp"
#include "kernels/clear.hpp"
#include "kernels/macs.hpp"

namespace fxsim::bindings {
namespace {

using BoolArray = py::array_t<bool, py::array::c_style>;
using Uint32Array = py::array_t<std::uint32_t, py::array::c_style>;

MutableMatrix output_matrix(py::array& out, const Operand& a, const Operand& b) {
  if (out.ndim() != 2 || out.shape(0) != a.rows() || out.shape(1) != b.rows()) {
    throw py::value_error("gemm: out must be a matrix of " + std::to_string(a.rows()) + " x " +
                          std::to_string(b.rows()) + ", the rows of a and of b");
  }
  if (!out.writeable()) throw py::value_error("gemm: out is read-only");
  return {out.mutable_data(),
          checked_storage(out, Accept::kBoth, "gemm: out"),
          out.shape(0),
          out.shape(1),
          element_stride(out, 0, "gemm: out"),
          element_stride(out, 1, "gemm: out")};
}

Events gemm_kernel(const BoundOperand& a, const BoundOperand& b, py::array out, const Accumulator& accumulator,
                   const std::optional<Int64Array>& bias, int bias_fl, const Quantizer& output, bool output_rounds,
                   std::uint64_t seed, std::uint64_t stream, std::int64_t index_base, std::int64_t index_row_stride,
                   bool count, const std::string& name) {
  check_depths(a.view, b.view, "gemm");
  GemmCall call;
  call.a = a.view;
  call.b = b.view;
  call.out = output_matrix(out, a.view, b.view);
  call.accumulator = accumulator;
  call.bias = checked_bias(bias, call.out.cols, "gemm");
  call.bias_fl = bias_fl;
  call.output = output;
  call.output_rounds = output_rounds;
  call.key = {seed, stream};
  call.index_base = index_base;
  call.index_row_stride = index_row_stride;
  call.count = count;
  Events events;
  {
    const py::gil_scoped_release unlocked;
    if (call.out.rows > 0 && call.out.cols > 0) events = gemm(call);
  }
  raise_gemm_fault(events.fault, name);
  return events;
}

Events run_quantize(const py::array& in, Accept accept, int fl, py::array& out, const std::optional<BoolArray>& clipped,
                    const Quantizer& quantizer, std::uint64_t seed, std::uint64_t stream, std::int64_t index_offset,
                    bool channels_last, bool count, WordCounts* words, const std::string& name) {
  QuantizeCall call;
  call.in = strided(in, accept, "quantize: input");
  call.fl = fl;
  check_result(out, in, "quantize: out");
  call.out = out.mutable_data();
  call.out_storage = checked_storage(out, Accept::kBoth, "quantize: out");
  BoolArray mask;
  if (clipped) {
    mask = *clipped;
    check_result(mask, in, "quantize: clipped");
    call.clipped = reinterpret_cast<std::uint8_t*>(mask.mutable_data());
  }
  call.quantizer = quantizer;
  call.key = {seed, stream};
  call.index_offset = index_offset;
  call.count = count;
  call.words = checked_words(words, out);
  Events events;
  {
    const py::gil_scoped_release unlocked;
    if (call.in.size() > 0) events = quantize(call);
  }
  raise_quantize_fault(events.fault, name, call.in, channels_last);
  return events;
}

void clear_kernel(py::array values, const BoolArray& mask) {
  const Storage storage = checked_storage(values, Accept::kFloats, "clear: values");
  check_result(values, mask, "clear: values");
  void* data = values.mutable_data();
  const bool* where = mask.data();
  const std::int64_t count = values.size();
  const py::gil_scoped_release unlocked;
  clear(data, storage, where, count);
}

MacCounts macs_kernel(const BoundOperand& a, const BoundOperand& b, const RepeatFields& repeat, const WordCounts* of_a,
                      const WordCounts* of_b) {
  check_alike(a.view, b.view, "count_macs");
  const Repeat products = make_repeat(repeat, "count_macs");
  const py::gil_scoped_release unlocked;
  return count_macs(a.view, b.view, products, of_a, of_b);
}

}  // namespace

void register_kernels(py::module_& m) {
  m.def("gemm", &gemm_kernel, py::arg("a"), py::arg("b"), py::arg("out").noconvert(), py::arg("accumulator"),
        py::kw_only(), py::arg("bias").noconvert(), py::arg("bias_fl"), py::arg("output"), py::arg("output_rounds"),
        py::arg("seed"), py::arg("stream"), py::arg("index_base"), py::arg("index_row_stride"), py::arg("count"),
        py::arg("name") = "gemm");

  m.def(
      "quantize",
      [](const py::array& x, py::array out, const std::optional<BoolArray>& clipped, const Quantizer& quantizer,
         std::uint64_t seed, std::uint64_t stream, std::int64_t index_offset, bool channels_last, bool count,
         WordCounts* words, const std::string& name) {
        return run_quantize(x, Accept::kFloats, 0, out, clipped, quantizer, seed, stream, index_offset, channels_last,
                            count, words, name);
      },
      py::arg("x").noconvert(), py::arg("out").noconvert(), py::arg("clipped").noconvert(), py::arg("quantizer"),
      py::kw_only(), py::arg("seed"), py::arg("stream"), py::arg("index_offset") = 0, py::arg("channels_last") = false,
      py::arg("count") = true, py::arg("words") = nullptr, py::arg("name") = "quantize");

  m.def(
      "requantize",
      [](const py::array& raw, int fl, py::array out, const std::optional<BoolArray>& clipped,
         const Quantizer& quantizer, std::uint64_t seed, std::uint64_t stream, std::int64_t index_offset,
         bool channels_last, bool count, const std::string& name) {
        return run_quantize(raw, Accept::kIntegers, fl, out, clipped, quantizer, seed, stream, index_offset,
                            channels_last, count, nullptr, name);
      },
      py::arg("raw").noconvert(), py::arg("fl"), py::arg("out").noconvert(), py::arg("clipped").noconvert(),
      py::arg("quantizer"), py::kw_only(), py::arg("seed"), py::arg("stream"), py::arg("index_offset") = 0,
      py::arg("channels_last") = false, py::arg("count") = true, py::arg("name") = "requantize");

  m.def("clear", &clear_kernel, py::arg("values").noconvert(), py::arg("mask").noconvert());

  m.def("count_macs", &macs_kernel, py::arg("a"), py::arg("b"), py::arg("repeat"), py::arg("of_a") = nullptr,
        py::arg("of_b") = nullptr);

  m.def(
      "philox_fill",
      [](std::uint64_t seed, std::uint64_t stream, std::int64_t start, int bits, int site, std::int64_t ordinal,
         Uint32Array out) {
        fill_random_bits({seed, stream}, start, out.size(), bits, static_cast<Site>(site), ordinal, out.mutable_data());
      },
      py::arg("seed"), py::arg("stream"), py::arg("start"), py::arg("bits"), py::arg("site"), py::arg("ordinal"),
      py::arg("out").noconvert());
}

}  // namespace fxsim::bindings
