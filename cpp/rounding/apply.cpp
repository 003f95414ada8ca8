#include "rounding/apply.hpp"

#include <array>
#include <cstddef>
#include <tuple>
#include <utility>

namespace fxsim {
namespace {

// Rounds one value at a time and keeps the counts.
template <class Rounding, class Overflow>
class BlockRounder {
 public:
  BlockRounder(const Quantizer& quantizer, const std::uint32_t* u, std::int64_t* raw, std::uint8_t* clipped)
      : format_(quantizer.format), bits_(quantizer.random_bits), u_(u), raw_(raw), clipped_(clipped) {}

  void operator()(std::int64_t i, const Residue& r) {
    Draw draw{0, bits_};
    if constexpr (kIsStochastic<Rounding>) draw.u = u_[i];
    const Integer rounded = r.floor.stepped(Rounding::up(r, draw));
    const bool off_range = outside(rounded, format_);
    const std::int64_t raw = Overflow::apply(rounded, format_);
    raw_[i] = raw;
    overflows_ += off_range | (raw != rounded.low);
    inexact_ += static_cast<std::int64_t>(r.off_grid());
    round_to_zero_ += rounded.is_zero() & (r.off_grid() != 0);
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

template <class Rounding, class Overflow, class Value>
void apply_block(const Value* values, std::int64_t count, int scale, const Quantizer& quantizer, const std::uint32_t* u,
                 std::int64_t* raw, std::uint8_t* clipped, BlockTally& tally) {
  BlockRounder<Rounding, Overflow> round(quantizer, u, raw, clipped);
  for (std::int64_t i = 0; i < count; ++i) round(i, scaled_residue(values[i], scale));
  round.add_to(tally);
}

template <class Value, class Rounding, class... O>
constexpr std::array<BlockFn<Value>, kOverflows> row(std::tuple<O...>*) {
  return {&apply_block<Rounding, Stored<O>, Value>...};
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
