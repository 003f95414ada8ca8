// What the drivers of stepping kernels share: where sums start, how outputs leave, how blocks of rows are counted.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <vector>

#include "kernels/generic/finish.hpp"
#include "kernels/generic/sequence.hpp"
#include "kernels/streams.hpp"
#include "kernels/tasks.hpp"

namespace fxsim::steps {

using generic::Scratch;
using generic::Tile;

// Accumulated values of one output tile, held row after row `stride` apart, in the register of fractional length
// registers.fl(): where they start, and how they become outputs. I is the integer type that the bias needs too.
template <class I>
class Outputs {
 public:
  Outputs(const GemmCall& call, const isa::Kernels& kernels)
      : call_(call),
        kernels_(kernels),
        registers_(call),
        add_bias_(call.bias != nullptr && !registers_.has_preload),
        plain_(!add_bias_ && !call.output_rounds && fits(call)),
        past_(plain_ && call.out.col_stride == 1 && streams(kernels, call.out.data, bytes_of(call.out))),
        step_(std::ldexp(1.0, -call.output.format.fl)) {}

  const generic::Registers<I>& registers() const { return registers_; }

  template <class T>
  void start(const Tile& tile, T* held, std::int64_t stride, Events& events) const {
    if (!registers_.has_preload) return;
    for (std::int64_t at = 0; at < tile.size(); ++at) {
      const generic::Element place{tile.index(call_, at), call_.key, events};
      const I value = registers_.start_value(call_.bias[tile.n0 + at % tile.cols], place);
      held[at / tile.cols * stride + at % tile.cols] = static_cast<T>(to_integer(value).low);
    }
  }

  template <class T>
  void finish(const Tile& tile, const T* held, std::int64_t stride, Events& events) {
    if (plain_) return store(tile, held, stride);
    values_.resize(static_cast<std::size_t>(tile.size()));
    scratch_.reserve(tile.size());
    for (std::int64_t i = 0; i < tile.rows; ++i) {
      for (std::int64_t j = 0; j < tile.cols; ++j) {
        values_[static_cast<std::size_t>(i * tile.cols + j)] = I{static_cast<std::int64_t>(held[i * stride + j])};
      }
    }
    generic::finish_tile(call_, &kernels_, tile, values_.data(), registers_.fl(), add_bias_, scratch_, events);
  }

 private:
  // Whether the register's integers are the outputs as they are, exactly.
  static bool fits(const GemmCall& call) {
    const Accumulator& acc = call.accumulator;
    const std::optional<Quantizer>& last = acc.chunk > 0 ? acc.outer : acc.inner;
    if (!last || last->format.wl > 24 || call.output.format.fl != last->format.fl) return false;
    const Format& out = call.output.format;
    return out.raw_min() <= last->format.raw_min() && out.raw_max() >= last->format.raw_max() && out.fl <= 120 &&
           out.fl >= -100;
  }

  static std::int64_t bytes_of(const MutableMatrix& out) {
    return out.rows * out.cols * static_cast<std::int64_t>(element_bytes(out.storage));
  }

  template <class T>
  void store(const Tile& tile, const T* held, std::int64_t stride) const {
    const MutableMatrix& out = call_.out;
    with_storage(out.storage, out.data, [&](const auto* data) {
      using Element = std::remove_const_t<std::remove_pointer_t<decltype(data)>>;
      auto* to = const_cast<Element*>(data) + tile.m0 * out.row_stride + tile.n0 * out.col_stride;
      for (std::int64_t i = 0; i < tile.rows; ++i) store_row(held + i * stride, tile.cols, to + i * out.row_stride);
    });
    if (past_) kernels_.streaming->end();
  }

  template <class T, class Element>
  void store_row(const T* held, std::int64_t cols, Element* to) const {
    if constexpr (std::is_same_v<T, Element> && std::is_integral_v<T>) {
      if (past_ && are_lines(held, cols) && are_lines(to, cols)) {
        return kernels_.streaming->lines(held, cols * static_cast<std::int64_t>(sizeof(T)), to);
      }
    }
    const std::int64_t apart = call_.out.col_stride;
    if (apart == 1) {
      for (std::int64_t j = 0; j < cols; ++j) store_element(held[j], to[j]);
    } else {
      for (std::int64_t j = 0; j < cols; ++j) store_element(held[j], to[j * apart]);
    }
  }

  template <class T>
  static bool are_lines(const T* from, std::int64_t count) {
    const auto bytes = static_cast<std::uintptr_t>(count) * sizeof(T);
    return (reinterpret_cast<std::uintptr_t>(from) | bytes) % isa::kStreamLine == 0;
  }

  // A register of 24 bits times a power of two is exact in single precision.
  template <class T, class Element>
  void store_element(T held, Element& to) const {
    if constexpr (std::is_floating_point_v<Element>) {
      to = static_cast<Element>(held) * static_cast<Element>(step_);
    } else {
      to = static_cast<Element>(held);
    }
  }

  const GemmCall& call_;
  const isa::Kernels& kernels_;
  generic::Registers<I> registers_;
  bool add_bias_;
  bool plain_;
  bool past_;    // the caches
  double step_;  // of a carrier
  std::vector<I> values_;
  Scratch scratch_;
};

}  // namespace fxsim::steps
