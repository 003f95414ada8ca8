// A stretch of a tensor quantized, block by block: in one pass where an instruction set has it, in 32-bit lanes where a
// block allows, else the general way.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "kernels/api.hpp"
#include "kernels/generic/elements.hpp"
#include "kernels/generic/one_pass.hpp"
#include "kernels/generic/round32.hpp"
#include "kernels/generic/round_block.hpp"
#include "kernels/generic/store.hpp"
#include "kernels/mask_bits.hpp"
#include "kernels/streams.hpp"

namespace fxsim::generic {

// The first element that is no number, and the first infinity.
struct NonFinite {
  std::int64_t nan = -1;
  std::int64_t infinite = -1;
};

inline NonFinite find_non_finite(const double* values, std::int64_t count) {
  constexpr double kMost = std::numeric_limits<double>::max();
  std::int64_t unusual = 0;
  for (std::int64_t i = 0; i < count; ++i) unusual += std::abs(values[i]) <= kMost ? 0 : 1;
  NonFinite found;
  if (unusual == 0) return found;
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

inline constexpr std::int64_t kTooLargeMask = std::int64_t{1} << 18;  // masks are read a whole backward later

inline bool streams_words(const QuantizeCall& call, std::int64_t size, const isa::Kernels& kernels) {
  return streams(kernels, call.out, size * static_cast<std::int64_t>(element_bytes(call.out_storage)));
}

// Element: float, double, std::int32_t for raws that fit it, or std::int64_t, which only the general way takes.
template <class Element>
class QuantizeRange {
  using Value = std::conditional_t<std::is_floating_point_v<Element>, double, std::int64_t>;
  static constexpr bool kIsNarrow = !std::is_same_v<Element, std::int64_t>;
  using Narrow = std::conditional_t<kIsNarrow, Element, std::int32_t>;

 public:
  // past: words that are too large for the caches go past them.
  QuantizeRange(const QuantizeCall& call, const StridedArray& in, const isa::Kernels& kernels, bool past)
      : call_(call),
        in_(in),
        kernels_(kernels),
        streams_words_(past && streams_words(call, in.size(), kernels)),
        one_pass_(kernels, call.quantizer, scale(), call.out_storage, look(), call.key),
        narrow_(kernels, call.quantizer, scale(), call.out_storage, call.count) {}

  // Words first, first + 1, ... go to `out`.
  void run(std::int64_t start, std::int64_t end, void* out, std::int64_t first, QuantizeResult& result) {
    out_ = out;
    first_ = first;
    for (std::int64_t at = start, count = 0; at < end; at += count) {
      // Blocks end where groups of random bits do.
      count = std::min(kBlock32 - (call_.index_offset + at) % kBlock32, end - at);
      block(at, count, result);
    }
  }

  // To be called before another thread looks at what was written.
  void close() const {
    if (streams_words_ || streams_mask_) kernels_.streaming->end();
  }

 private:
  int scale() const {
    const int fl = call_.quantizer.format.fl;
    return std::is_floating_point_v<Element> ? fl : fl - call_.fl;
  }

  isa::Look look() const {
    if (call_.count) return isa::Look::kAll;
    return call_.clipped == nullptr && call_.clipped_bits == nullptr ? isa::Look::kNothing : isa::Look::kOutside;
  }

  void block(std::int64_t start, std::int64_t count, QuantizeResult& result) {
    const Quantizer& q = call_.quantizer;
    if constexpr (std::is_same_v<Element, float>) {
      if (pass_block(start, count, result.events)) return;
    }
    prefetch(start + kBlock32);
    if (q.stochastic) {
      fill_random_bits(call_.key, call_.index_offset + start, count, q.random_bits, Site::kOutput, 0, u_.data(),
                       kernels_.philox);
      result.events.random_draws += count;
    }
    if (!narrow_block(start, count, result.events)) general_block(start, count, result);
  }

  // The next block travels while this one is computed: a page long, it is none that the processor fetches by itself.
  // Floats are asked for as others are converted.
  void prefetch(std::int64_t start) const {
    if (std::is_same_v<Element, float> || !direct_ || start + kBlock32 > size_) return;
    const auto* from = static_cast<const char*>(in_.data) + start * static_cast<std::int64_t>(sizeof(Element));
    for (std::size_t at = 0; at < kBlock32 * sizeof(Element); at += 64) __builtin_prefetch(from + at, 0, 2);
  }

  bool pass_block(std::int64_t start, std::int64_t count, Events& events) {
    if (!one_pass_.possible() || !direct_ || count != kBlock32) return false;
    const auto* values = static_cast<const float*>(in_.data) + start;
    BlockTally tally;
    void* out = advanced(out_, call_.out_storage, start - first_);
    const bool past = streams_words_ && start % isa::kStreamLine == 0;
    void* words = past ? static_cast<void*>(raw_.data()) : out;
    if (!one_pass_.run(values, call_.index_offset + start, words, tally)) return false;
    if (past) kernels_.streaming->lines(words, count * element_bytes_, out);
    write_mask(start, tally.clipped > 0);
    if (call_.quantizer.stochastic) events.random_draws += count;
    add(tally, events);
    return true;
  }

  // Of a whole block. Bytes do not go past the caches: nothing is left to do meanwhile.
  void write_mask(std::int64_t start, bool any) {
    if (call_.clipped_bits != nullptr && any) put_bits(one_pass_.outside(), kBlock32, call_.clipped_bits, start);
    if (call_.clipped == nullptr) return;
    std::uint8_t* mask = call_.clipped + start;
    if (any) {
      bytes_of_bits(one_pass_.outside(), kBlock32, mask);
    } else {
      std::fill_n(mask, kBlock32, std::uint8_t{0});
    }
  }

  bool narrow_block(std::int64_t start, std::int64_t count, Events& events) {
    if constexpr (!kIsNarrow) {
      return false;
    } else {
      if (!narrow_.possible()) return false;
      const Element* values = narrow_values_.data();
      if (direct_) {
        values = static_cast<const Element*>(in_.data) + start;
      } else {
        copy_elements(in_, start, count, narrow_values_.data());
      }
      BlockTally tally;
      if (!write_narrow(values, start, count, tally)) return false;
      if (tally.clipped > 0) pack_mask(start, count);
      add(tally, events);
      return true;
    }
  }

  // What is too large for the caches goes past them, by way of a block that stays there.
  bool write_narrow(const Narrow* values, std::int64_t start, std::int64_t count, BlockTally& tally) {
    std::uint8_t* clipped = call_.clipped_bits != nullptr ? clipped_.data() : nullptr;
    if (call_.clipped != nullptr) clipped = call_.clipped + start;
    void* out = advanced(out_, call_.out_storage, start - first_);
    const bool lines = count == kBlock32 && start % isa::kStreamLine == 0;
    const bool past = lines && streams_words_, mask_past = lines && streams_mask_;
    void* words = past ? static_cast<void*>(raw_.data()) : out;
    if (!narrow_.run(values, count, u_.data(), words, 0, mask_past ? clipped_.data() : clipped, tally)) return false;
    if (past) kernels_.streaming->lines(words, count * element_bytes_, out);
    if (mask_past) kernels_.streaming->lines(clipped_.data(), count, clipped);
    return true;
  }

  void general_block(std::int64_t start, std::int64_t count, QuantizeResult& result) {
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
    std::uint8_t* clipped = call_.clipped == nullptr ? clipped_.data() : call_.clipped + start;
    const BlockTally tally = round_block(&kernels_, values_.data(), count, scale(), q, u_.data(), raw_.data(), clipped);
    if (tally.clipped > 0) pack_mask(start, count);
    add(tally, events);
    if (q.error && tally.first_outside >= 0) {
      events.refuse({Fault::kOutput, start + tally.first_outside, -1, tally.outside_value, q.format});
    }
    events.inexact_carriers += store(raw_.data(), count, q.format.fl, out_, call_.out_storage, start - first_, 1);
  }

  // The mask of a block that was written as bytes.
  void pack_mask(std::int64_t start, std::int64_t count) {
    if (call_.clipped_bits == nullptr) return;
    std::array<std::uint8_t, kBlock32 / 8> bits;
    bits_of_bytes(clipped_.data(), count, bits.data());
    put_bits(bits.data(), count, call_.clipped_bits, start);
  }

  static void add(const BlockTally& tally, Events& events) {
    events.output_overflows += tally.overflows;
    events.inexact += tally.inexact;
    events.round_to_zero += tally.round_to_zero;
    events.clipped += tally.clipped;
  }

  const QuantizeCall& call_;
  const StridedArray& in_;
  const isa::Kernels& kernels_;
  const std::int64_t size_ = in_.size();
  const bool direct_ = in_.dims == 1 && in_.strides[0] == 1 && in_.storage == storage_of<Element>();
  const std::int64_t element_bytes_ = static_cast<std::int64_t>(element_bytes(call_.out_storage));
  void* out_ = nullptr;
  std::int64_t first_ = 0;
  const bool streams_words_;
  const bool streams_mask_ = streams(kernels_, call_.clipped, size_, kTooLargeMask);
  OnePass one_pass_;
  Round32<Narrow> narrow_;
  std::array<std::uint32_t, kBlock32> u_;
  std::array<Narrow, kBlock32> narrow_values_;
  std::array<Value, kBlock32> values_;
  alignas(isa::kStreamLine) std::array<std::int64_t, kBlock32> raw_;
  alignas(isa::kStreamLine) std::array<std::uint8_t, kBlock32> clipped_{};
};

}  // namespace fxsim::generic
