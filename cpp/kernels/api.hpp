// What the bindings call: one function a kernel. Arguments are checked above; a kernel never throws, it reports the
// first value that an `error` mode refuses.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "numbers/array.hpp"
#include "numbers/operand.hpp"
#include "rounding/philox.hpp"
#include "rounding/quantizer.hpp"
#include "rounding/residue.hpp"

namespace fxsim {

struct WordCounts;

// An accumulator with no default left open; a register that is absent is exact.
struct Accumulator {
  std::optional<Quantizer> product;
  std::optional<Quantizer> inner;
  std::optional<Quantizer> outer;  // takes the results of chunks
  bool at_end = false;
  bool outer_at_end = false;
  bool preload = false;
  std::int64_t lanes = 1;
  std::int64_t outer_lanes = 1;
  std::int64_t chunk = 0;  // 0: none
};

// The first refused value. `phase` orders what can go wrong within one output element.
struct Fault {
  enum Phase : std::uint8_t { kNan, kInfinite, kPreload, kProduct, kStep, kOutput, kDoesNotFit };

  Phase phase = kPreload;
  std::int64_t index = -1;  // -1: nothing refused
  std::int64_t k = -1;
  Integer value;  // rounded, before overflow, in steps of the format
  Format format;

  bool found() const { return index >= 0; }
  bool before(const Fault& other) const {
    if (!found() || !other.found()) return found();
    return index != other.index ? index < other.index : phase < other.phase;
  }
};

struct Events {
  std::int64_t product_overflows = 0;
  std::int64_t step_overflows = 0;
  std::int64_t outer_overflows = 0;
  std::int64_t preload_overflows = 0;
  std::int64_t output_overflows = 0;
  std::int64_t inexact = 0;
  std::int64_t round_to_zero = 0;
  std::int64_t random_draws = 0;
  std::int64_t inexact_carriers = 0;
  std::int64_t clipped = 0;
  Fault fault;

  void merge(const Events& other) {
    product_overflows += other.product_overflows;
    step_overflows += other.step_overflows;
    outer_overflows += other.outer_overflows;
    preload_overflows += other.preload_overflows;
    output_overflows += other.output_overflows;
    inexact += other.inexact;
    round_to_zero += other.round_to_zero;
    random_draws += other.random_draws;
    inexact_carriers += other.inexact_carriers;
    clipped += other.clipped;
    refuse(other.fault);
  }
  void refuse(const Fault& candidate) {
    if (candidate.before(fault)) fault = candidate;
  }
};

// Products that are alike: number i finds its operands, outputs and bias i steps (elements) further, its indices too.
struct Repeat {
  std::int64_t count = 1;
  std::int64_t a = 0, b = 0, out = 0, index = 0, bias = 0;
};

// out(m, n) <- Output(Accumulate_k a(m, k) * b(n, k) + bias(n)). Element (m, n) has the logical index
// index_base + m * index_row_stride + n.
struct GemmCall {
  Operand a;
  Operand b;
  MutableMatrix out;
  Accumulator accumulator;
  const std::int64_t* bias = nullptr;
  int bias_fl = 0;
  Quantizer output;
  bool output_rounds = false;  // false: the accumulator's integer is the result, in output.format
  Key key;
  std::int64_t index_base = 0;
  std::int64_t index_row_stride = 0;
  bool count = false;  // step and product events are wanted
  Repeat repeat;

  // A mask of bits (mask_bits.hpp) of the elements of `out` that become 0 at the end. `out` is then of floats, its rows
  // stand together, and there is one product.
  const std::uint8_t* clear = nullptr;
};

// out[i] <- Quantize(in[i]) in the array's own C order; `out` and `clipped` are contiguous in that order. Integers in
// are raws of fractional length `fl`. `words`, of as many integers as there are, counts those of `out`.
struct QuantizeCall {
  StridedArray in;
  int fl = 0;
  void* out = nullptr;
  Storage out_storage = Storage::kInt64;
  std::uint8_t* clipped = nullptr;       // a byte an element; or
  std::uint8_t* clipped_bits = nullptr;  // a mask of bits (mask_bits.hpp), given as zeros
  Quantizer quantizer;
  Key key;
  std::int64_t index_offset = 0;
  bool count = false;  // events are wanted; without, only faults, draws and what a mask shows are sure
  WordCounts* words = nullptr;
};

Events gemm(const GemmCall& call);
Events quantize(const QuantizeCall& call);

// The quantization, then the products, whose operand a is the words it writes: the same as one call after the other,
// but a product may take words while they are in the cache. Events in this order; after a refused value no product's.
// Without `out` nobody wants the words themselves, and they may never be there all at once.
std::vector<Events> quantize_gemms(const QuantizeCall& words, std::span<const GemmCall> products);

}  // namespace fxsim
