// Quantize and requantize, block by block.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/api.hpp"
#include "kernels/generic/elements.hpp"
#include "kernels/generic/gemm.hpp"
#include "kernels/generic/round_block.hpp"
#include "kernels/generic/store.hpp"
#include "kernels/parallel.hpp"

namespace fxsim::generic {
namespace {

// The first element that is no number, and the first infinity.
struct NonFinite {
  std::int64_t nan = -1;
  std::int64_t infinite = -1;
};

inline NonFinite find_non_finite(const double* values, std::int64_t count) {
  // x - x is 0 for every finite x and NaN otherwise, so one sum tells whether a closer look is needed.
  double probe = 0;
  for (std::int64_t i = 0; i < count; ++i) probe += values[i] - values[i];
  NonFinite found;
  if (probe == 0) return found;
  for (std::int64_t i = count; i-- > 0;) {
    if (std::isnan(values[i])) found.nan = i;
    if (std::isinf(values[i])) found.infinite = i;
  }
  return found;
}

struct QuantizeResult {
  Events events;
  Fault nan;

  void merge(const QuantizeResult& other) {
    events.merge(other.events);
    if (other.nan.before(nan)) nan = other.nan;
  }
  // NaN is reported before any overflow.
  Events reported() const {
    Events out = events;
    if (nan.found()) out.fault = nan;
    return out;
  }
};

// Value: double for floats in, std::int64_t for raws in.
template <class Value>
class QuantizeRange {
 public:
  static constexpr std::int64_t kBlock = 1024;

  QuantizeRange(const QuantizeCall& call, const StridedArray& in, const isa::Kernels& kernels)
      : call_(call), in_(in), kernels_(kernels) {}

  QuantizeResult run(std::int64_t start, std::int64_t end) {
    QuantizeResult result;
    for (std::int64_t at = start; at < end; at += kBlock) block(at, std::min(kBlock, end - at), result);
    return result;
  }

 private:
  void block(std::int64_t start, std::int64_t count, QuantizeResult& result) {
    const Quantizer& q = call_.quantizer;
    Events& events = result.events;
    copy_elements(in_, start, count, values_.data());
    if constexpr (std::is_same_v<Value, double>) {
      const NonFinite found = find_non_finite(values_.data(), count);
      if (found.nan >= 0) {
        const Fault fault{Fault::kNan, start + found.nan, -1, {}, q.format};
        if (fault.before(result.nan)) result.nan = fault;
      }
      if (found.infinite >= 0 && (q.wraps || q.error)) {
        events.refuse({Fault::kInfinite, start + found.infinite, -1, {}, q.format});
      }
    }
    if (q.stochastic) {
      fill_random_bits(call_.key, call_.index_offset + start, count, q.random_bits, Site::kOutput, 0, u_.data(),
                       kernels_.philox);
      events.random_draws += count;
    }
    std::uint8_t* clipped = call_.clipped == nullptr ? clipped_.data() : call_.clipped + start;
    const int scale = std::is_same_v<Value, double> ? q.format.fl : q.format.fl - call_.fl;
    const BlockTally tally = round_block(&kernels_, values_.data(), count, scale, q, u_.data(), raw_.data(), clipped);
    events.output_overflows += tally.overflows;
    events.inexact += tally.inexact;
    events.round_to_zero += tally.round_to_zero;
    events.clipped += tally.clipped;
    if (q.error && tally.first_outside >= 0) {
      events.refuse({Fault::kOutput, start + tally.first_outside, -1, tally.outside_value, q.format});
    }
    events.inexact_carriers += store(raw_.data(), count, q.format.fl, call_.out, call_.out_storage, start, 1);
  }

  const QuantizeCall& call_;
  const StridedArray& in_;
  const isa::Kernels& kernels_;
  std::array<Value, kBlock> values_;
  std::array<std::uint32_t, kBlock> u_;
  std::array<std::int64_t, kBlock> raw_;
  std::array<std::uint8_t, kBlock> clipped_;
};

template <class Value>
Events quantize_blocks(const QuantizeCall& call, const isa::Kernels& kernels) {
  constexpr std::int64_t kTask = 16 * QuantizeRange<Value>::kBlock;
  const StridedArray in = merged(call.in);
  const std::int64_t size = in.size();
  const std::int64_t tasks = ceil_div(size, kTask);
  std::vector<QuantizeResult> results(static_cast<std::size_t>(tasks));
  parallel_for(tasks, [&](std::int64_t task) {
    QuantizeRange<Value> range(call, in, kernels);
    results[static_cast<std::size_t>(task)] = range.run(task * kTask, std::min(size, (task + 1) * kTask));
  });
  QuantizeResult total;
  for (const QuantizeResult& own : results) total.merge(own);
  return total.reported();
}

}  // namespace

Events quantize(const QuantizeCall& call, const isa::Kernels& kernels) {
  return is_float(call.in.storage) ? quantize_blocks<double>(call, kernels)
                                   : quantize_blocks<std::int64_t>(call, kernels);
}

}  // namespace fxsim::generic
