#include "rounding/apply.hpp"

#include <array>
#include <cstddef>
#include <tuple>
#include <utility>

namespace fxsim {
namespace {

template <class Rounding, class Overflow, class Value>
void apply_block(const Value* values, std::int64_t count, int scale, const Quantizer& quantizer, const std::uint32_t* u,
                 std::int64_t* raw, std::uint8_t* clipped, BlockTally& tally) {
  const Format format = quantizer.format;
  Draw draw{0, quantizer.random_bits};
  BlockTally t = tally;
  for (std::int64_t i = 0; i < count; ++i) {
    const Residue r = scaled_residue(values[i], scale);
    if constexpr (kIsStochastic<Rounding>) draw.u = u[i];
    const Integer rounded = Rounding::up(r, draw) ? r.floor.next() : r.floor;
    const bool off_range = outside(rounded, format);
    raw[i] = Overflow::apply(rounded, format);
    t.overflows += off_range || raw[i] != rounded.low;
    t.inexact += !r.on_grid();
    t.round_to_zero += rounded.is_zero() && !r.on_grid();
    t.clipped += off_range;
    if (off_range && t.first_outside < 0) {
      t.first_outside = i;
      t.outside_value = rounded;
    }
    if (clipped != nullptr) clipped[i] = off_range;
  }
  tally = t;
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
