// One rounding of many values in 32-bit lanes: what is chosen once a call, and what is done a block.
//
// The proof that lanes32.hpp rounds as residue.hpp says. Let s = value * 2^scale, the product of the value and a power
// of two: exact in its type unless beyond the largest number, where it is infinite, or below the smallest, which is
// looked for where scale < 0 (a product that was rounded there, but not to 0, is still tiny and off the grid, all that
// the modes ask). Let the format store magnitudes up to 2^m.
//  * m <= 29: where s is cut off to +-2^30 both lie beyond every raw, so a saturating mode stores the same. Floats from
//    2^24 on are integers, so nothing is lost of the fraction; doubles are, so where they count they are refused there.
//  * Wider formats, and `wrap`: blocks with a magnitude above 2^30 are refused. The rounded integer fits 32 bits.
//    A wider signed format holds it, and so does u<31> its value mod 2^31.
//  * Short words hold floor(s * 2^b) with b bits of the fraction, cut off to +-2^30: beyond every raw while
//    m + b <= 29. A fraction may be lost there, so they do not count. Two bits more than are drawn are enough for any
//    mode: the next one, and whether anything follows.
//  * The 31 bits that split words keep of a fraction are one more than random_bits <= 30 need.
//  * Integers of 32 bits are dropped 0 to 31 bits: nothing is lost or cut off, m <= 31. Lifted by b bits they are cut
//  off
//    to 2^30 first, beyond every raw while m <= 29; so is 1 lifted by 30 and anything lifted further. Not under `wrap`.
// Carriers wider than a float's significand are stored as they round but not counted here.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <tuple>
#include <type_traits>

#include "kernels/isa/isa.hpp"
#include "rounding/apply.hpp"

namespace fxsim::generic {

using isa::kBlock32;

// Value: float, double or std::int32_t.
template <class Value>
class Round32 {
 public:
  // Rounds value * 2^scale into arrays of type `out`. With `count`, every count of a tally; without, only `clipped`,
  // where the mask is asked for.
  Round32(const isa::Kernels& kernels, const Quantizer& q, int scale, Storage out, bool count);

  // Whether any block may come this way.
  bool possible() const { return possible_; }

  // Rounds `values`, at most kBlock32, into elements at, at + 1, ... of `out`. False: this block must go the general
  // way; what was written means nothing. The general way also names the value that an `error` mode refuses.
  bool run(const Value* values, std::int64_t count, const std::uint32_t* u, void* out, std::int64_t at,
           std::uint8_t* clipped, BlockTally& tally);

 private:
  bool round(const Value* values, std::int64_t count, const std::uint32_t* u, isa::Counts32& counts);

  const isa::Lanes32& lanes_;
  const Quantizer& q_;
  bool count_ = false;
  bool possible_ = false;
  bool may_vanish_ = false;
  bool has_short_ = false;
  int lift_ = 0;
  isa::Store32 store_;
  isa::Scale32 scale_;
  isa::Scale32 short_scale_;
  Range32 range_;
  double step_ = 1;
  std::array<std::int32_t, kBlock32> rounded_;
};

// Powers of two that a float or a double is multiplied by, at most.
template <class Value>
inline constexpr int kMostScale = std::is_same_v<Value, float> ? 126 : 192;

// Whether raws of the format need more bits than the carriers have.
inline bool rounds_carriers(const Format& f, Storage out) {
  return out == Storage::kFloat32 && f.magnitude_bits() > std::numeric_limits<float>::digits;
}

// The part of a format's range that 32 bits hold.
inline Range32 range32(const Quantizer& q) {
  constexpr std::int64_t kMin = std::numeric_limits<std::int32_t>::min();
  constexpr std::int64_t kMax = std::numeric_limits<std::int32_t>::max();
  const auto held = [&](std::int64_t raw) { return static_cast<std::int32_t>(std::clamp(raw, kMin, kMax)); };
  const Format& f = q.format;
  return {held(q.lowest()), held(f.raw_min()), held(f.raw_max()), ~std::uint32_t{0} >> (f.wl < 32 ? 32 - f.wl : 0)};
}

// Of magnitudes below 2^29 those that the format stores as they are; all of them where they are a power of two.
inline isa::Inside32 inside32(const Range32& range) {
  constexpr std::int64_t kMost = std::int64_t{1} << 29;
  const std::int64_t low = std::max<std::int64_t>({range.lowest, range.low, -kMost});
  const std::int64_t values = std::min<std::int64_t>(range.high, kMost - 1) - low + 1;
  const auto inside = static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(values)));
  return {static_cast<std::uint32_t>(inside == values ? -low : inside / 2), ~static_cast<std::uint32_t>(inside - 1)};
}

template <class... R>
constexpr std::array<int, kRoundings> bits_below(const std::tuple<R...>*) {
  const auto below = []<class One>(const One*) {
    if constexpr (kIsAdder<One>) {
      return One::kBelow;
    } else {
      return 2;
    }
  };
  return {below(static_cast<const R*>(nullptr))...};
}

// Bits of the fraction that a short word keeps.
inline int short_bits(const Quantizer& q) {
  static constexpr auto below = bits_below(static_cast<const Roundings*>(nullptr));
  return below[q.rounding] + (q.stochastic ? q.random_bits : 0);
}

template <class Value>
Round32<Value>::Round32(const isa::Kernels& kernels, const Quantizer& q, int scale, Storage out, bool count)
    : lanes_(*kernels.lanes32),
      q_(q),
      count_(count),
      store_(lanes_.store[q.overflow][static_cast<std::size_t>(out)]),
      range_(range32(q)),
      step_(std::ldexp(1.0, -q.format.fl)) {
  const isa::Inside32 inside = inside32(range_);
  constexpr int kMostRandomBits = 30;
  constexpr double kTop = 0x1p30;
  const Format& f = q.format;
  possible_ = (f.is_signed || f.wl <= 31) && (!q.stochastic || q.random_bits <= kMostRandomBits) &&
              !(count && rounds_carriers(f, out));
  if constexpr (std::is_same_v<Value, std::int32_t>) {
    constexpr int kMostLift = 30;
    const bool lifts = scale > 0 && !q.wraps && f.magnitude_bits() <= isa::kMostBits;
    possible_ = possible_ && (lifts || scale <= 0) && scale >= -31;
    lift_ = std::clamp(scale, 0, kMostLift);
    scale_ = {.bits = -scale, .random_bits = q.random_bits};
  } else {
    possible_ = possible_ && scale <= kMostScale<Value> && scale >= -kMostScale<Value>;
    may_vanish_ = scale < 0;
    const bool cuts = !q.wraps && f.magnitude_bits() <= isa::kMostBits && !(count && std::is_same_v<Value, double>);
    scale_ = {std::ldexp(1.0, scale), cuts ? HUGE_VAL : kTop, kTop, 0, q.random_bits, inside};
    const int bits = short_bits(q);
    has_short_ = std::is_same_v<Value, float> && f.magnitude_bits() + bits <= isa::kMostBits &&
                 scale + bits <= kMostScale<Value>;
    short_scale_ = {std::ldexp(1.0, scale + bits), count ? kTop : scale_.limit, kTop, bits, q.random_bits, inside};
  }
}

template <class Value>
bool Round32<Value>::round(const Value* values, std::int64_t count, const std::uint32_t* u, isa::Counts32& counts) {
  if constexpr (std::is_same_v<Value, std::int32_t>) {
    if (lift_ > 0) {
      lanes_.lift(values, count, lift_, std::int32_t{1} << 30 >> lift_, rounded_.data());
      return true;
    }
    return lanes_.integers[count_][q_.rounding](values, count, scale_, u, rounded_.data(), &counts);
  } else if constexpr (std::is_same_v<Value, double>) {
    if (may_vanish_ && lanes_.double_vanishes(values, count, scale_.factor)) return false;
    return lanes_.doubles[count_][q_.rounding](values, count, scale_, u, rounded_.data(), &counts);
  } else {
    if (may_vanish_ && lanes_.float_vanishes(values, count, scale_.factor)) return false;
    const auto short_floats = lanes_.short_floats[count_][q_.rounding];
    if (has_short_ && short_floats(values, count, short_scale_, u, rounded_.data(), &counts)) return true;
    return lanes_.floats[count_][q_.rounding](values, count, scale_, u, rounded_.data(), &counts);
  }
}

template <class Value>
bool Round32<Value>::run(const Value* values, std::int64_t count, const std::uint32_t* u, void* out, std::int64_t at,
                         std::uint8_t* clipped, BlockTally& tally) {
  isa::Counts32 counts;
  if (!round(values, count, u, counts)) return false;
  std::int64_t outside = 0;
  if (counts.inside) {
    if (clipped != nullptr) std::fill_n(clipped, count, std::uint8_t{0});
  } else if (count_ || clipped != nullptr || q_.error) {
    outside = lanes_.outside(rounded_.data(), count, range_.low, range_.high, clipped);
    if (q_.error && outside > 0) return false;
  }
  store_(rounded_.data(), count, range_, step_, out, at);
  tally.clipped += outside;
  if (count_) {
    tally.overflows += range_.lowest == range_.low || counts.inside
                           ? outside
                           : lanes_.outside(rounded_.data(), count, range_.lowest, range_.high, nullptr);
    tally.inexact += counts.inexact;
    tally.round_to_zero += counts.round_to_zero;
  }
  return true;
}

}  // namespace fxsim::generic
