// The dot products of a GEMM as plain scalar loops over 512-bit integers: what every other path must equal.
#include <cstdint>

#include "kernels/generic/finish.hpp"
#include "kernels/generic/sequence.hpp"
#include "kernels/reference/reference.hpp"
#include "kernels/tasks.hpp"

namespace fxsim::reference {
namespace {

std::int64_t element(const Operand& o, std::int64_t row, std::int64_t k) {
  const std::int64_t pixel = o.transposed ? k : row;
  const std::int64_t tap = o.transposed ? row : k;
  const std::int64_t at = element_offset(o, pixel_at(o, pixel), tap_at(o, tap));
  if (at == AxisMap::kOutside) return 0;
  return with_storage(o.storage, o.data, [at](const auto* data) { return static_cast<std::int64_t>(data[at]); });
}

}  // namespace

Events gemm(const GemmCall& call) {
  const generic::Registers<Wide> registers(call);
  const bool add_bias = call.bias != nullptr && !registers.has_preload;
  const std::int64_t depth = call.a.depth();
  return over_tasks(call.out.rows, [&](std::int64_t m, Events& own) {
    generic::Scratch scratch;
    scratch.reserve(1);
    for (std::int64_t n = 0; n < call.out.cols; ++n) {
      const generic::Tile tile{m, 1, n, 1};
      const generic::Element place{tile.index(call, 0), call.key, own};
      const Wide start = registers.start_value(call.bias == nullptr ? 0 : call.bias[n], place);
      Wide value = generic::accumulate(
          registers, [&](std::int64_t k) { return element(call.a, m, k); },
          [&](std::int64_t k) { return element(call.b, n, k); }, depth, start, place);
      generic::finish_tile(call, nullptr, tile, &value, registers.fl(), add_bias, scratch, own);
    }
  });
}

}  // namespace fxsim::reference
