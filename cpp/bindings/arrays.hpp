// NumPy arrays as the kernels' views. No copy, no cast: an array that does not fit is refused by name.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <optional>
#include <string>

#include "numbers/array.hpp"

namespace fxsim::bindings {

namespace py = pybind11;

inline std::optional<Storage> storage_of(const py::dtype& dtype) {
  const char kind = dtype.kind();
  const auto size = dtype.itemsize();
  if (kind == 'i' && size == 1) return Storage::kInt8;
  if (kind == 'u' && size == 1) return Storage::kUint8;
  if (kind == 'i' && size == 2) return Storage::kInt16;
  if (kind == 'i' && size == 4) return Storage::kInt32;
  if (kind == 'i' && size == 8) return Storage::kInt64;
  if (kind == 'f' && size == 4) return Storage::kFloat32;
  if (kind == 'f' && size == 8) return Storage::kFloat64;
  return std::nullopt;
}

inline std::string dtype_text(const py::array& array) { return py::str(array.dtype()).cast<std::string>(); }

enum class Accept { kIntegers, kFloats, kBoth };

inline Storage checked_storage(const py::array& array, Accept accept, const char* argument) {
  const std::optional<Storage> storage = storage_of(array.dtype());
  const bool fits = storage && (accept == Accept::kBoth || is_float(*storage) == (accept == Accept::kFloats));
  if (!fits) {
    const char* names = accept == Accept::kFloats     ? "float32 or float64"
                        : accept == Accept::kIntegers ? "int8, uint8, int16, int32 or int64"
                                                      : "int8, uint8, int16, int32, int64, float32 or float64";
    throw py::type_error(std::string(argument) + " is an array of " + dtype_text(array) + "; it takes " + names);
  }
  return *storage;
}

inline std::int64_t element_stride(const py::array& array, py::ssize_t axis, const char* argument) {
  if (array.strides(axis) % array.itemsize() != 0) {
    throw py::value_error(std::string(argument) +
                          " has strides that are no multiple of its element size; copy it first");
  }
  return array.strides(axis) / array.itemsize();
}

inline StridedArray strided(const py::array& array, Accept accept, const char* argument) {
  if (array.ndim() > StridedArray::kMaxDims) {
    throw py::value_error(std::string(argument) + " has " + std::to_string(array.ndim()) +
                          " dimensions; at most 8 are taken: reshape it");
  }
  StridedArray view;
  view.data = array.data();
  view.storage = checked_storage(array, accept, argument);
  view.dims = static_cast<int>(array.ndim());
  for (py::ssize_t d = 0; d < array.ndim(); ++d) {
    view.shape[static_cast<std::size_t>(d)] = array.shape(d);
    view.strides[static_cast<std::size_t>(d)] = element_stride(array, d, argument);
  }
  return view;
}

// The view with its axes in the order of indices: (n, spatial..., c) of (n, c, spatial...) if channels last.
inline StridedArray in_index_order(StridedArray view, bool channels_last) {
  if (!channels_last || view.dims < 3) return view;
  const auto end = view.dims;
  std::rotate(view.shape.begin() + 1, view.shape.begin() + 2, view.shape.begin() + end);
  std::rotate(view.strides.begin() + 1, view.strides.begin() + 2, view.strides.begin() + end);
  return view;
}

inline bool same_shape(const py::array& a, const py::array& b) {
  if (a.ndim() != b.ndim()) return false;
  for (py::ssize_t d = 0; d < a.ndim(); ++d) {
    if (a.shape(d) != b.shape(d)) return false;
  }
  return true;
}

// A C-contiguous, writable array of the shape of `like`.
inline void check_result(const py::array& result, const py::array& like, const char* argument) {
  if (!same_shape(result, like)) throw py::value_error(std::string(argument) + " has another shape than the input");
  if ((result.flags() & py::array::c_style) == 0) throw py::value_error(std::string(argument) + " is not C-contiguous");
  if (!result.writeable()) throw py::value_error(std::string(argument) + " is read-only");
}

}  // namespace fxsim::bindings
