// Many products that are alike, in one call: the groups of a convolution, the batch of a matrix product.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/api.hpp"
#include "kernels/tasks.hpp"

namespace fxsim {

// Product number i of a call, alone.
inline GemmCall product_of(const GemmCall& call, std::int64_t i) {
  GemmCall one = call;
  one.repeat = {};
  one.a.kept = one.b.kept = nullptr;
  one.a.data = advanced(call.a.data, call.a.storage, i * call.repeat.a);
  one.b.data = advanced(call.b.data, call.b.storage, i * call.repeat.b);
  one.out.data = advanced(call.out.data, call.out.storage, i * call.repeat.out);
  one.index_base += i * call.repeat.index;
  if (call.bias != nullptr) one.bias += i * call.repeat.bias;
  return one;
}

// Small products are shared out among threads, large ones share out themselves.
template <class Run>
Events run_repeated(const GemmCall& call, const Run& run) {
  constexpr std::int64_t kSmall = std::int64_t{1} << 24;  // multiply-accumulates
  const std::int64_t macs = call.out.rows * call.out.cols * call.a.depth();
  const std::int64_t together = std::clamp<std::int64_t>(kSmall / std::max<std::int64_t>(macs, 1), 1, 64);
  const auto run_some = [&](std::int64_t first, std::int64_t count, Events& events) {
    for (std::int64_t i = first; i < first + count; ++i) events.merge(run(product_of(call, i)));
  };
  if (macs <= kSmall) return over_row_blocks(call.repeat.count, together, run_some);
  Events total;
  run_some(0, call.repeat.count, total);
  return total;
}

}  // namespace fxsim
