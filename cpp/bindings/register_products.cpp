#include <pybind11/stl.h>

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "bindings/checks.hpp"
#include "bindings/faults.hpp"
#include "bindings/register.hpp"
#include "bindings/types.hpp"
#include "kernels/api.hpp"
#include "kernels/clear.hpp"
#include "kernels/macs.hpp"
#include "kernels/mask_bits.hpp"

namespace fxsim::bindings {
namespace {

// A mask of bits.
using Mask = py::array_t<std::uint8_t, py::array::c_style>;

// Counts of an operand, if they are known.
using Known = std::optional<const WordCounts*>;

// Product, operand b, its counts, out, bias, stream, index base, clear, name. Not converted, None is no product and no
// operand.
using Link = std::tuple<const Product*, const BoundOperand*, Known, py::array, std::optional<Int64Array>, std::uint64_t,
                        std::int64_t, std::optional<Mask>, std::string>;

// What happened to the words; and in each product, with its macs where they are counted.
using Happened = std::pair<Events, std::vector<std::pair<Events, MacCounts>>>;

const Mask& checked_mask(const Mask& mask, std::int64_t elements) {
  if (mask.size() != mask_bytes(elements)) {
    throw py::value_error("a mask has " + std::to_string(mask.size()) + " bytes for " + std::to_string(elements) +
                          " elements; it takes a bit each, in whole words of " + std::to_string(kMaskWord));
  }
  return mask;
}

// An array that is written whole, in the order of indices of `in`.
void check_words(const py::array& out, const StridedArray& in, bool channels_last, const char* argument) {
  StridedArray view;
  view.dims = static_cast<int>(std::min<py::ssize_t>(out.ndim(), StridedArray::kMaxDims));
  for (int d = 0; d < view.dims; ++d) {
    view.shape[static_cast<std::size_t>(d)] = out.shape(d);
    view.strides[static_cast<std::size_t>(d)] = element_stride(out, d, argument);
  }
  view = in_index_order(view, channels_last);
  if (view.dims != in.dims || view.shape != in.shape) {
    throw py::value_error(std::string(argument) + " has another shape than x");
  }
  if (!is_contiguous(view)) throw py::value_error(std::string(argument) + " does not stand in memory as indices run");
  if (!out.writeable()) throw py::value_error(std::string(argument) + " is read-only");
}

// Where words go, or what they are where nobody wants them.
using Wanted = std::variant<py::array, py::dtype>;

QuantizeCall words_call(const py::array& x, Wanted& wanted, std::optional<Mask>& clipped, const Quantizer& quantizer,
                        bool channels_last) {
  QuantizeCall call;
  call.in = in_index_order(strided(x, Accept::kFloats, "quantize_gemms: x"), channels_last);
  const bool kept = std::holds_alternative<py::array>(wanted);
  py::array words = kept ? std::get<py::array>(wanted) : py::array(std::get<py::dtype>(wanted), 0);
  call.out_storage = checked_storage(words, Accept::kIntegers, "quantize_gemms: words");
  if (kept) {
    check_words(words, call.in, channels_last, "quantize_gemms: words");
    call.out = words.mutable_data();
  }
  if (clipped) {
    checked_mask(*clipped, call.in.size());
    call.clipped_bits = clipped->mutable_data();
  }
  call.quantizer = quantizer;
  return call;
}

// The first product's part of an array that fills memory, all products' parts within it.
MutableMatrix first_part(py::array& out, const GemmCall& call, std::int64_t columns, const char* name) {
  const std::int64_t rows = call.a.rows(), cols = call.b.rows();
  const StridedArray view = in_memory_order(strided(out, Accept::kBoth, "out"));
  const std::int64_t last = std::max<std::int64_t>(call.repeat.count - 1, 0) * call.repeat.out + (rows - 1) * columns;
  const bool whole = call.repeat.count == 1 ? cols == columns && view.size() == rows * cols
                                            : rows * cols == 0 || (call.repeat.out >= 0 && last + cols <= view.size());
  if (!whole || !is_contiguous(view)) {
    throw py::value_error(std::string(name) + ": out must fill memory with " + std::to_string(rows) + " x " +
                          std::to_string(cols) + " elements, the rows of a and of b, for each product");
  }
  if (!out.writeable()) throw py::value_error(std::string(name) + ": out is read-only");
  return {out.mutable_data(), view.storage, rows, cols, columns, 1};
}

void set_clear(GemmCall& call, const Mask& clear, const py::array& out) {
  if (!is_float(call.out.storage) || call.repeat.count != 1) {
    throw py::value_error("clear takes the floats of one product");
  }
  call.clear = checked_mask(clear, out.size()).data();
}

// All but the key; `a` with its data.
GemmCall product_call(const Product& product, const Operand& a, const Operand& b, py::array out,
                      const std::optional<Int64Array>& bias, std::int64_t index_base, bool count,
                      const std::optional<Mask>& clear, const char* name) {
  check_depths(a, b, name);
  GemmCall call;
  call.a = a;
  call.b = b;
  call.repeat = product.repeat;
  call.out = first_part(out, call, product.columns, name);
  call.accumulator = product.accumulator;
  const std::int64_t biases = call.out.cols + std::max<std::int64_t>(call.repeat.count - 1, 0) * call.repeat.bias;
  call.bias = checked_bias(bias, biases, name);
  call.bias_fl = product.bias_fl;
  call.output = product.output;
  call.output_rounds = product.output_rounds;
  call.index_base = index_base;
  call.index_row_stride = product.columns;
  call.count = count;
  if (clear) set_clear(call, *clear, out);
  return call;
}

Product make_product(const Operand& a, const Accumulator& accumulator, int bias_fl, const Quantizer& output,
                     bool output_rounds, std::int64_t columns, const RepeatFields& repeat) {
  return {a, accumulator, bias_fl, output, output_rounds, columns, make_repeat(repeat, "Product")};
}

Events multiply(const Product& product, const BoundOperand& a, const BoundOperand& b, const py::array& out,
                const std::optional<Int64Array>& bias, std::uint64_t seed, std::uint64_t stream,
                std::int64_t index_base, bool count, const std::optional<Mask>& clear, const std::string& name) {
  GemmCall call = product_call(product, a.view, b.view, out, bias, index_base, count, clear, "multiply");
  call.key = {seed, stream};
  Events events;
  {
    const py::gil_scoped_release unlocked;
    if (call.repeat.count > 0 && call.out.rows > 0 && call.out.cols > 0) events = gemm(call);
  }
  raise_gemm_fault(events.fault, name);
  return events;
}

GemmCall linked_call(const Link& link, const QuantizeCall& words) {
  const auto& [product, b, of_b, out, bias, stream, index_base, clear, name] = link;
  Operand a = product->a;
  a.data = words.out;
  a.storage = words.out_storage;
  GemmCall call = product_call(*product, a, b->view, out, bias, index_base, words.count, clear, "quantize_gemms");
  call.key = {words.key.seed, stream};
  if (words.count) check_alike(call.a, call.b, "quantize_gemms");
  return call;
}

Happened quantize_and_multiply(const py::array& x, Wanted words, std::optional<Mask> clipped,
                               const Quantizer& quantizer, std::uint64_t seed, std::uint64_t stream,
                               std::int64_t index_offset, bool channels_last, bool count, WordCounts* counts,
                               const std::string& name, const std::vector<Link>& products) {
  QuantizeCall call = words_call(x, words, clipped, quantizer, channels_last);
  call.key = {seed, stream};
  call.index_offset = index_offset;
  call.count = count;
  if (count || counts != nullptr) {
    if (call.out == nullptr) throw py::value_error("quantize_gemms: count needs the words; give words an array");
    call.words = checked_words(counts, std::get<py::array>(words));
  }
  std::vector<GemmCall> gemms;
  for (const Link& link : products) gemms.push_back(linked_call(link, call));
  std::vector<Events> events;
  Happened happened;
  {
    const py::gil_scoped_release unlocked;
    events = quantize_gemms(call, gemms);
    for (std::size_t i = 1; i < events.size(); ++i) {
      const GemmCall& gemm = gemms[i - 1];
      const WordCounts* of_b = std::get<Known>(products[i - 1]).value_or(nullptr);
      happened.second.emplace_back(events[i],
                                   count ? count_macs(gemm.a, gemm.b, gemm.repeat, call.words, of_b) : MacCounts{});
    }
  }
  happened.first = events.front();
  raise_quantize_fault(happened.first.fault, name, call.in, channels_last);
  for (std::size_t i = 0; i < products.size(); ++i) {
    raise_gemm_fault(happened.second[i].first.fault, std::get<std::string>(products[i]));
  }
  return happened;
}

void clear_kernel(py::array values, const Mask& mask) {
  const StridedArray view = in_memory_order(strided(values, Accept::kFloats, "clear_where: values"));
  if (!is_contiguous(view)) throw py::value_error("clear_where: values do not fill memory");
  if (!values.writeable()) throw py::value_error("clear_where: values is read-only");
  const std::uint8_t* where = checked_mask(mask, view.size()).data();
  void* data = values.mutable_data();
  const py::gil_scoped_release unlocked;
  clear_where(data, view.storage, where, view.size());
}

}  // namespace

void register_products(py::module_& m) {
  py::class_<Product>(m, "Product")
      .def(py::init(&make_product), py::arg("a"), py::arg("accumulator"), py::arg("bias_fl"), py::arg("output"),
           py::arg("output_rounds"), py::arg("columns"), py::arg("repeat"));

  m.def("multiply", &multiply, py::arg("product"), py::arg("a"), py::arg("b"), py::arg("out").noconvert(),
        py::arg("bias").noconvert(), py::arg("seed"), py::arg("stream"), py::arg("index_base"), py::arg("count"),
        py::arg("clear").noconvert(), py::arg("name"));

  m.def("quantize_gemms", &quantize_and_multiply, py::arg("x").noconvert(), py::arg("words").noconvert(),
        py::arg("clipped").noconvert(), py::arg("quantizer"), py::arg("seed"), py::arg("stream"),
        py::arg("index_offset"), py::arg("channels_last"), py::arg("count"), py::arg("counts"), py::arg("name"),
        py::arg("products").noconvert());

  m.def("clear_where", &clear_kernel, py::arg("values").noconvert(), py::arg("mask").noconvert());
}

}  // namespace fxsim::bindings
