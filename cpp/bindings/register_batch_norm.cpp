#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>

#include "bindings/register.hpp"
#include "kernels/batch_norm.hpp"

namespace fxsim::bindings {
namespace {

namespace py = pybind11;

using Row = py::array_t<float, py::array::c_style>;
using Images = py::array_t<float, 0>;
using OptionalRow = std::optional<Row>;
using OptionalImages = std::optional<Images>;

// Images (n, c, h, w) whose memory runs (n, h, w, c) without gaps.
struct Shape {
  py::ssize_t n, c, h, w;

  explicit Shape(const Images& x) : n(0), c(0), h(0), w(0) {
    if (x.ndim() != 4) throw py::value_error("batch_norm: x has " + std::to_string(x.ndim()) + " dimensions, not 4");
    n = x.shape(0), c = x.shape(1), h = x.shape(2), w = x.shape(3);
  }
  std::int64_t pixels() const { return n * h * w; }

  void check(const Images& images, const char* argument) const {
    const py::ssize_t sizes[] = {n, c, h, w};
    const py::ssize_t strides[] = {h * w * c, 1, w * c, c};
    bool fits = images.ndim() == 4;
    for (py::ssize_t d = 0; fits && d < 4; ++d) {
      fits = images.shape(d) == sizes[d] &&
             (sizes[d] <= 1 || images.size() == 0 || images.strides(d) == strides[d] * py::ssize_t{sizeof(float)});
    }
    if (!fits) {
      throw py::value_error("batch_norm: " + std::string(argument) +
                            " must have x's shape (n, c, h, w) and memory that runs (n, h, w, c) without gaps");
    }
  }
};

const float* row(const Row& array, std::int64_t size, const char* argument) {
  if (array.size() != size) {
    throw py::value_error("batch_norm: " + std::string(argument) + " has " + std::to_string(array.size()) +
                          " elements, " + std::to_string(size) + " are needed");
  }
  return array.data();
}

const float* row(const OptionalRow& array, std::int64_t size, const char* argument) {
  return array ? row(*array, size, argument) : nullptr;
}

const float* images(const Images& array, const Shape& shape, const char* argument) {
  shape.check(array, argument);
  return array.data();
}

const float* images(const OptionalImages& array, const Shape& shape, const char* argument) {
  return array ? images(*array, shape, argument) : nullptr;
}

// The same memory, to be written.
template <class Array>
float* result(Array& array, const float* checked, const char* argument) {
  if (checked == nullptr) return nullptr;
  if (!py::array(array).writeable()) throw py::value_error("batch_norm: " + std::string(argument) + " is read-only");
  return const_cast<float*>(checked);
}

Affine affine(const float* statistics, const OptionalRow& weight, const OptionalRow& bias, double eps,
              std::int64_t channels) {
  return {statistics, statistics + channels, row(weight, channels, "weight"), row(bias, channels, "bias"), eps};
}

void forward(const Images& x, const OptionalRow& weight, const OptionalRow& bias, const OptionalImages& residual,
             Row statistics, OptionalRow running_mean, OptionalRow running_variance, bool measure, double momentum,
             double eps, bool relu, Images out) {
  const Shape shape(x);
  BatchStatisticsCall measured;
  measured.x = images(x, shape, "x");
  measured.pixels = shape.pixels();
  measured.channels = shape.c;
  measured.mean = result(statistics, row(statistics, 2 * shape.c, "statistics"), "statistics");
  measured.variance = measured.mean + shape.c;
  if (running_mean)
    measured.running_mean = result(*running_mean, row(running_mean, shape.c, "running_mean"), "running_mean");
  if (running_variance)
    measured.running_variance =
        result(*running_variance, row(running_variance, shape.c, "running_variance"), "running_variance");
  measured.momentum = momentum;
  if ((measured.running_mean == nullptr) != (measured.running_variance == nullptr)) {
    throw py::value_error("batch_norm: running_mean and running_variance are given together or not at all");
  }
  if (measure && shape.pixels() < 2) {
    throw py::value_error("batch_norm: x has " + std::to_string(shape.pixels()) +
                          " values for each channel; statistics need 2 or more");
  }
  BatchNormCall call;
  call.x = measured.x;
  call.pixels = shape.pixels();
  call.channels = shape.c;
  call.affine = affine(measured.mean, weight, bias, eps, shape.c);
  call.relu = relu;
  call.residual = images(residual, shape, "residual");
  call.y = result(out, images(out, shape, "out"), "out");
  const py::gil_scoped_release unlocked;
  if (measure) batch_statistics(measured);
  batch_norm_relu(call);
}

void backward(const Images& grad, const Images& x, const OptionalImages& y, const Row& statistics,
              const OptionalRow& weight, const OptionalRow& bias, double eps, bool relu, bool measured, Images grad_x,
              OptionalImages grad_residual, Row grad_weight, Row grad_bias) {
  const Shape shape(x);
  BatchNormBackwardCall call;
  call.grad = images(grad, shape, "grad");
  call.x = images(x, shape, "x");
  call.y = images(y, shape, "y");
  call.pixels = shape.pixels();
  call.channels = shape.c;
  call.affine = affine(row(statistics, 2 * shape.c, "statistics"), weight, bias, eps, shape.c);
  call.relu = relu;
  call.batch_statistics = measured;
  call.grad_x = result(grad_x, images(grad_x, shape, "grad_x"), "grad_x");
  if (grad_residual) {
    call.grad_residual = result(*grad_residual, images(grad_residual, shape, "grad_residual"), "grad_residual");
  }
  call.grad_weight = result(grad_weight, row(grad_weight, shape.c, "grad_weight"), "grad_weight");
  call.grad_bias = result(grad_bias, row(grad_bias, shape.c, "grad_bias"), "grad_bias");
  if ((call.y == nullptr) != (call.grad_residual == nullptr)) {
    throw py::value_error("batch_norm: y and grad_residual are given together or not at all");
  }
  const py::gil_scoped_release unlocked;
  batch_norm_relu_backward(call);
}

}  // namespace

void register_batch_norm(py::module_& m) {
  m.def("batch_norm_relu", &forward, py::arg("x").noconvert(), py::arg("weight").noconvert(),
        py::arg("bias").noconvert(), py::arg("residual").noconvert(), py::arg("statistics").noconvert(), py::kw_only(),
        py::arg("running_mean").noconvert(), py::arg("running_variance").noconvert(), py::arg("measure"),
        py::arg("momentum"), py::arg("eps"), py::arg("relu"), py::arg("out").noconvert());

  m.def("batch_norm_relu_backward", &backward, py::arg("grad").noconvert(), py::arg("x").noconvert(),
        py::arg("y").noconvert(), py::arg("statistics").noconvert(), py::arg("weight").noconvert(),
        py::arg("bias").noconvert(), py::kw_only(), py::arg("eps"), py::arg("relu"), py::arg("measured"),
        py::arg("grad_x").noconvert(), py::arg("grad_residual").noconvert(), py::arg("grad_weight").noconvert(),
        py::arg("grad_bias").noconvert());
}

}  // namespace fxsim::bindings
