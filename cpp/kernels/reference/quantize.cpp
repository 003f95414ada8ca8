// Quantize and requantize, one element after the other: what every other path must equal.
#include <cmath>
#include <cstdint>

#include "kernels/generic/elements.hpp"
#include "kernels/generic/store.hpp"
#include "kernels/reference/reference.hpp"
#include "rounding/apply.hpp"

namespace fxsim::reference {
namespace {

template <class Value>
void one(const QuantizeCall& call, std::int64_t i, const Value& value, int scale, Events& events) {
  const Quantizer& q = call.quantizer;
  std::uint32_t u = 0;
  if (q.stochastic) {
    u = random_bits(call.key, call.index_offset + i, q.random_bits, Site::kOutput, 0);
    ++events.random_draws;
  }
  std::int64_t raw = 0;
  BlockTally tally;
  std::uint8_t* clipped = call.clipped == nullptr ? nullptr : call.clipped + i;
  block_function<Value>(q)(&value, 1, scale, q, &u, &raw, clipped, tally);
  events.output_overflows += tally.overflows;
  events.inexact += tally.inexact;
  events.round_to_zero += tally.round_to_zero;
  events.clipped += tally.clipped;
  if (q.error && tally.first_outside >= 0) {
    events.refuse({Fault::kOutput, i, -1, tally.outside_value, q.format});
  }
  events.inexact_carriers += generic::store(&raw, 1, q.format.fl, call.out, call.out_storage, i, 1);
}

}  // namespace

Events quantize(const QuantizeCall& call) {
  const Quantizer& q = call.quantizer;
  const StridedArray in = generic::merged(call.in);
  Events events;
  Fault nan;
  for (std::int64_t i = 0; i < in.size(); ++i) {
    if (is_float(in.storage)) {
      double value = 0;
      generic::copy_elements(in, i, 1, &value);
      const Fault fault{Fault::kNan, i, -1, {}, q.format};
      if (std::isnan(value) && fault.before(nan)) nan = fault;
      if (std::isinf(value) && (q.wraps || q.error)) events.refuse({Fault::kInfinite, i, -1, {}, q.format});
      one(call, i, value, q.format.fl, events);
    } else {
      std::int64_t value = 0;
      generic::copy_elements(in, i, 1, &value);
      one(call, i, Wide{value}, q.format.fl - call.fl, events);
    }
  }
  if (nan.found()) events.fault = nan;
  return events;
}

}  // namespace fxsim::reference
