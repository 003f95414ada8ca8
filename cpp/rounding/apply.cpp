#include "rounding/apply.hpp"

#include <array>
#include <cmath>
#include <cstddef>
#include <tuple>
#include <utility>

namespace fxsim {
namespace {

// Rounds one value at a time and keeps the counts. Inlined where it is known that the floor fits 64 bits, so that the
// compiler drops what only larger values need.
template <class Rounding, class Overflow>
class BlockRounder {
 public:
  BlockRounder(const Quantizer& quantizer, const std::uint32_t* u, std::int64_t* raw, std::uint8_t* clipped)
      : format_(quantizer.format), bits_(quantizer.random_bits), u_(u), raw_(raw), clipped_(clipped) {}

  [[gnu::always_inline]] void operator()(std::int64_t i, const Residue& r) {
    Draw draw{0, bits_};
    if constexpr (kIsStochastic<Rounding>) draw.u = u_[i];
    const Integer rounded = r.floor.stepped(Rounding::up(r, draw));
    const bool off_range = outside(rounded, format_);
    const std::int64_t raw = Overflow::apply(rounded, format_);
    raw_[i] = raw;
    overflows_ += off_range | (raw != rounded.low);
    inexact_ += !r.on_grid();
    round_to_zero_ += rounded.is_zero() & !r.on_grid();
    if (clipped_ != nullptr) clipped_[i] = off_range;
    if (off_range) [[unlikely]] {
      ++off_range_;
      if (first_ < 0) {
        first_ = i;
        first_value_ = rounded;
      }
    }
  }

  void add_to(BlockTally& tally) const {
    tally.overflows += overflows_;
    tally.inexact += inexact_;
    tally.round_to_zero += round_to_zero_;
    tally.clipped += off_range_;
    if (tally.first_outside < 0 && first_ >= 0) {
      tally.first_outside = first_;
      tally.outside_value = first_value_;
    }
  }

 private:
  Format format_;
  int bits_;
  const std::uint32_t* u_;
  std::int64_t* raw_;
  std::uint8_t* clipped_;
  std::int64_t overflows_ = 0, inexact_ = 0, round_to_zero_ = 0, off_range_ = 0, first_ = -1;
  Integer first_value_;
};

// A double whose scaled value has a floor of 31 bits, as a residue; false where it takes the general way. Everything
// here is exact: the scale is a power of two far from the ends of the exponent, and `fixed` is the floor of
// value * 2^32, of which the comparison tells whether a fraction remains. So `top` has 32 bits, and no rounding
// with more than 30 random bits may come this way.
[[gnu::always_inline]] inline bool short_residue(double value, double step, Residue& r) {
  constexpr double kTop = 0x1p31;
  constexpr double kTiny = 0x1p-900;
  const double scaled = value * step;
  const double magnitude = scaled < 0 ? -scaled : scaled;
  if (!(magnitude < kTop) || (magnitude < kTiny && value != 0)) return false;
  const double wide = scaled * 0x1p32;
  auto fixed = static_cast<std::int64_t>(wide);
  const auto back = static_cast<double>(fixed);
  fixed -= back > wide;
  r.floor = {fixed >> 32, 0};
  r.top = static_cast<std::uint64_t>(fixed) << 32;
  r.sticky = back != wide;
  r.negative = scaled < 0;
  return true;
}

template <class Rounder>
void round_all(const double* values, std::int64_t count, int scale, int random_bits, Rounder& round) {
  constexpr int kMostScale = 1000;
  const bool short_way = scale <= kMostScale && scale >= -kMostScale && random_bits <= 30;
  const double step = short_way ? std::ldexp(1.0, scale) : 0.0;
  for (std::int64_t i = 0; i < count; ++i) {
    if (Residue r; short_way && short_residue(values[i], step, r)) [[likely]] {
      round(i, r);
    } else {
      round(i, scaled_residue(values[i], scale));
    }
  }
}

template <class Rounder>
void round_all(const std::int64_t* values, std::int64_t count, int scale, int, Rounder& round) {
  if (scale < 0 && scale > -64) {
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t value = values[i];
      round(i, {.floor = {value >> -scale, 0}, .top = low64(value) << (64 + scale), .negative = value < 0});
    }
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) round(i, scaled_residue(values[i], scale));
}

template <class Value, class Rounder>
void round_all(const Value* values, std::int64_t count, int scale, int, Rounder& round) {
  for (std::int64_t i = 0; i < count; ++i) round(i, scaled_residue(values[i], scale));
}

template <class Rounding, class Overflow, class Value>
void apply_block(const Value* values, std::int64_t count, int scale, const Quantizer& quantizer, const std::uint32_t* u,
                 std::int64_t* raw, std::uint8_t* clipped, BlockTally& tally) {
  BlockRounder<Rounding, Overflow> round(quantizer, u, raw, clipped);
  round_all(values, count, scale, quantizer.random_bits, round);
  round.add_to(tally);
}

template <class Value, class Rounding, class... O>
constexpr std::array<BlockFn<Value>, kOverflows> row(std::tuple<O...>*) {
  return {&apply_block<Rounding, O, Value>...};
}

template <class Value, class... R>
constexpr std::array<std::array<BlockFn<Value>, kOverflows>, kRoundings> table(std::tuple<R...>*) {
  return {row<Value, R>(static_cast<Overflows*>(nullptr))...};
}

}  // namespace

template <class Value>
BlockFn<Value> block_function(const Quantizer& quantizer) {
  static constexpr auto functions = table<Value>(static_cast<Roundings*>(nullptr));
  return functions[quantizer.rounding][quantizer.overflow];
}

template BlockFn<double> block_function<double>(const Quantizer&);
template BlockFn<std::int64_t> block_function<std::int64_t>(const Quantizer&);
template BlockFn<int128> block_function<int128>(const Quantizer&);
template BlockFn<Wide> block_function<Wide>(const Quantizer&);

}  // namespace fxsim
