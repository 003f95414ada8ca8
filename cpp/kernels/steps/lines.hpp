// Arrays that start on a cache line: no vector of a kernel's straddles two.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace fxsim::steps {

inline constexpr std::size_t kLine = 64;

template <class T>
struct LineAllocator {
  using value_type = T;

  LineAllocator() = default;
  template <class U>
  explicit LineAllocator(const LineAllocator<U>&) {}

  T* allocate(std::size_t count) {
    return static_cast<T*>(::operator new (count * sizeof(T), std::align_val_t{kLine}));
  }
  void deallocate(T* at, std::size_t) { ::operator delete (at, std::align_val_t{kLine}); }

  template <class U>
  bool operator==(const LineAllocator<U>&) const {
    return true;
  }
};

template <class T>
using Lines = std::vector<T, LineAllocator<T>>;

}  // namespace fxsim::steps
