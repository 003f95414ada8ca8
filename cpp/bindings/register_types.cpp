#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <string>

#include "bindings/register.hpp"
#include "bindings/types.hpp"
#include "kernels/api.hpp"
#include "kernels/macs.hpp"

namespace fxsim::bindings {
namespace {

using Axis = std::array<std::int64_t, 5>;

Format make_format(int wl, int fl, bool is_signed) {
  if (wl < 1 || wl > (is_signed ? 64 : 63) || fl < -192 || fl > 192) {
    throw py::value_error("Format: wl " + std::to_string(wl) + ", fl " + std::to_string(fl) +
                          "; wl is 1 to 64 (unsigned: 63), fl -192 to 192");
  }
  return {wl, fl, is_signed};
}

Quantizer make_quantizer(int wl, int fl, bool is_signed, const std::string& rounding, const std::string& overflow,
                         int random_bits, const std::string& tail) {
  const auto rounding_id = find_rounding(rounding, tail);
  if (!rounding_id) {
    throw py::value_error("Quantizer: rounding \"" + rounding + "\" with tail \"" + tail + "\"; roundings are " +
                          rounding_names() + ", tails truncate, half, nearest_even");
  }
  const auto overflow_id = find_overflow(overflow);
  if (!overflow_id) {
    throw py::value_error("Quantizer: overflow \"" + overflow + "\"; it is one of " + overflow_names());
  }
  if (random_bits < 1 || random_bits > 32) {
    throw py::value_error("Quantizer: random_bits is " + std::to_string(random_bits) + "; it is 1 to 32");
  }
  Quantizer q;
  q.format = make_format(wl, fl, is_signed);
  q.rounding = *rounding_id;
  q.overflow = *overflow_id;
  q.random_bits = static_cast<std::uint8_t>(random_bits);
  q.stochastic = is_stochastic(q.rounding);
  q.error = overflow == Error::name;
  q.wraps = overflow == Wrap::name;
  q.symmetric = overflow == SaturateSymmetric::name;
  return q;
}

Accumulator make_accumulator(std::optional<Quantizer> product, std::optional<Quantizer> inner, bool at_end,
                             std::int64_t lanes, std::int64_t chunk, std::optional<Quantizer> outer, bool outer_at_end,
                             std::int64_t outer_lanes, bool preload) {
  if (lanes < 1 || outer_lanes < 1 || chunk < 0) {
    throw py::value_error("Accumulator: lanes are at least 1 and chunk at least 0 (none); given lanes " +
                          std::to_string(lanes) + ", outer_lanes " + std::to_string(outer_lanes) + ", chunk " +
                          std::to_string(chunk));
  }
  return {product, inner, outer, at_end, outer_at_end, preload, lanes, outer_lanes, chunk};
}

AxisMap make_axis(const Axis& axis, const char* argument) {
  if (axis[3] < 1 || axis[4] < 0) {
    throw py::value_error(std::string("View: ") + argument +
                          " is (pixel_mul, tap_mul, offset, div, size) with div >= 1 and size >= 0");
  }
  return {axis[0], axis[1], axis[2], axis[3], axis[4]};
}

Operand make_view(int wl, int fl, bool is_signed, const std::array<std::int64_t, 3>& pixels,
                  const std::array<std::int64_t, 3>& taps, const std::array<std::int64_t, 4>& strides, const Axis& y,
                  const Axis& x, bool channel_major, bool transposed) {
  Operand view;
  if (wl > 32) throw py::value_error("View: wl is " + std::to_string(wl) + "; operands have 1 to 32 bits");
  view.format = make_format(wl, fl, is_signed);
  view.pixels = {pixels[0], pixels[1], pixels[2]};
  view.taps = {taps[0], taps[1], taps[2]};
  view.stride_n = strides[0];
  view.stride_y = strides[1];
  view.stride_x = strides[2];
  view.stride_c = strides[3];
  view.map_y = make_axis(y, "y");
  view.map_x = make_axis(x, "x");
  view.channel_major = channel_major;
  view.transposed = transposed;
  return view;
}

BoundOperand make_operand(py::array data, const Operand& view, bool keep) {
  BoundOperand bound{std::move(data), view, keep ? std::make_shared<exact::PackStore>() : nullptr};
  bound.view.storage = checked_storage(bound.array, Accept::kIntegers, "Operand: data");
  bound.view.data = bound.array.data();
  bound.view.kept = bound.store.get();
  return bound;
}

WordCounts make_word_counts(const WordCounts::Shape& shape) {
  if (std::ranges::min(shape) < 0 || !WordCounts::holds(shape)) {
    throw py::value_error("WordCounts: shape is (n, y, x, c) of at most 2^32 - 1 pixels of at most 65535 channels");
  }
  return WordCounts(shape);
}

// In the order of Python's table of events.
std::array<std::int64_t, 9> counts_of(const Events& e) {
  return {e.product_overflows, e.step_overflows, e.outer_overflows, e.preload_overflows, e.output_overflows,
          e.inexact,           e.round_to_zero,  e.random_draws,    e.inexact_carriers};
}

}  // namespace

void register_types(py::module_& m) {
  py::class_<Quantizer>(m, "Quantizer")
      .def(py::init(&make_quantizer), py::arg("wl"), py::arg("fl"), py::arg("signed"), py::arg("rounding"),
           py::arg("overflow"), py::arg("random_bits") = 16, py::arg("tail") = "truncate");

  py::class_<Accumulator>(m, "Accumulator")
      .def(py::init(&make_accumulator), py::kw_only(), py::arg("product"), py::arg("inner"), py::arg("at_end"),
           py::arg("lanes"), py::arg("chunk"), py::arg("outer"), py::arg("outer_at_end"), py::arg("outer_lanes"),
           py::arg("preload"));

  const Axis point{0, 0, 0, 1, 1};
  py::class_<Operand>(m, "View").def(py::init(&make_view), py::arg("wl"), py::arg("fl"), py::arg("signed"),
                                     py::arg("pixels"), py::arg("taps"), py::arg("strides"), py::arg("y") = point,
                                     py::arg("x") = point, py::arg("channel_major") = false,
                                     py::arg("transposed") = false);

  py::class_<BoundOperand>(m, "Operand")
      .def(py::init(&make_operand), py::arg("data").noconvert(), py::arg("view"), py::arg("keep") = false)
      .def_property_readonly("rows", [](const BoundOperand& o) { return o.view.rows(); })
      .def_property_readonly("k", [](const BoundOperand& o) { return o.view.depth(); });

  py::class_<Events>(m, "Events").def(py::init<>()).def("counts", &counts_of).def_readonly("clipped", &Events::clipped);

  py::class_<WordCounts>(m, "WordCounts")
      .def(py::init(&make_word_counts), py::arg("shape"))
      .def_static("holds", &WordCounts::holds, py::arg("shape"));

  py::class_<MacCounts>(m, "MacCounts")
      .def(py::init<>())
      .def_readonly("valid", &MacCounts::valid)
      .def_readonly("a_met", &MacCounts::a_met)
      .def_readonly("b_met", &MacCounts::b_met)
      .def_readonly("both_met", &MacCounts::both_met)
      .def_readonly("nnz_a", &MacCounts::nnz_a)
      .def_readonly("nnz_b", &MacCounts::nnz_b);
}

}  // namespace fxsim::bindings
