// Views of the caller's arrays: where the elements lie, and as what machine type.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>

namespace fxsim {

enum class Storage : std::uint8_t { kInt8, kUint8, kInt16, kInt32, kInt64, kFloat32, kFloat64 };

// Their machine types, in the same order.
using StorageTypes = std::tuple<std::int8_t, std::uint8_t, std::int16_t, std::int32_t, std::int64_t, float, double>;

inline constexpr std::size_t kStorages = std::tuple_size_v<StorageTypes>;

constexpr bool is_float(Storage storage) { return storage == Storage::kFloat32 || storage == Storage::kFloat64; }

template <class T, class... Each>
constexpr Storage storage_of(const std::tuple<Each...>*) {
  std::uint8_t place = 0;
  ((std::is_same_v<T, Each> || (++place, false)) || ...);
  return static_cast<Storage>(place);
}

template <class T>
constexpr Storage storage_of() {
  return storage_of<T>(static_cast<const StorageTypes*>(nullptr));
}

// Calls f(pointer of the element type) for the array behind `data`.
template <class F>
decltype(auto) with_storage(Storage storage, const void* data, F&& f) {
  switch (storage) {
    case Storage::kInt8: return f(static_cast<const std::int8_t*>(data));
    case Storage::kUint8: return f(static_cast<const std::uint8_t*>(data));
    case Storage::kInt16: return f(static_cast<const std::int16_t*>(data));
    case Storage::kInt32: return f(static_cast<const std::int32_t*>(data));
    case Storage::kInt64: return f(static_cast<const std::int64_t*>(data));
    case Storage::kFloat32: return f(static_cast<const float*>(data));
    case Storage::kFloat64: break;
  }
  return f(static_cast<const double*>(data));
}

inline std::size_t element_bytes(Storage storage) {
  return with_storage(storage, nullptr, [](const auto* data) { return sizeof(*data); });
}

// The address `elements` further.
inline const void* advanced(const void* data, Storage storage, std::int64_t elements) {
  return static_cast<const std::byte*>(data) + elements * static_cast<std::int64_t>(element_bytes(storage));
}
inline void* advanced(void* data, Storage storage, std::int64_t elements) {
  return static_cast<std::byte*>(data) + elements * static_cast<std::int64_t>(element_bytes(storage));
}

// An array of up to eight dimensions; strides count elements.
struct StridedArray {
  static constexpr int kMaxDims = 8;

  const void* data = nullptr;
  Storage storage = Storage::kInt64;
  int dims = 0;
  std::array<std::int64_t, kMaxDims> shape{};
  std::array<std::int64_t, kMaxDims> strides{};

  std::int64_t size() const {
    std::int64_t product = 1;
    for (int d = 0; d < dims; ++d) product *= shape[static_cast<std::size_t>(d)];
    return product;
  }
};

// Whether elements stand in memory in the view's C order, without gaps; none always do.
inline bool is_contiguous(const StridedArray& view) {
  if (view.size() == 0) return true;
  std::int64_t stride = 1;
  for (auto d = static_cast<std::size_t>(view.dims); d-- > 0;) {
    if (view.shape[d] != 1 && view.strides[d] != stride) return false;
    stride *= view.shape[d];
  }
  return true;
}

// The view with its axes as they follow each other in memory.
inline StridedArray in_memory_order(StridedArray view) {
  for (std::size_t i = 1; i < static_cast<std::size_t>(view.dims); ++i) {
    for (std::size_t j = i; j > 0 && view.strides[j] > view.strides[j - 1]; --j) {
      std::swap(view.strides[j], view.strides[j - 1]);
      std::swap(view.shape[j], view.shape[j - 1]);
    }
  }
  return view;
}

// A matrix that a kernel writes; strides count elements.
struct MutableMatrix {
  void* data = nullptr;
  Storage storage = Storage::kInt64;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t row_stride = 0;
  std::int64_t col_stride = 1;
};

}  // namespace fxsim
