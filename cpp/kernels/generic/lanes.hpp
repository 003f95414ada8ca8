// Rounding and overflow over a block without a branch, so that the compiler turns the loops into vector code of the
// instruction set it is told. Every ISA's translation unit includes this once; everything has internal linkage and
// takes plain arrays, for a function of one ISA must never be linked in another's place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <tuple>

#include "kernels/isa/isa.hpp"
#include "rounding/overflows.hpp"
#include "rounding/roundings.hpp"

namespace fxsim::isa {
namespace {

// What lies above the floor, of a value whose floor fits 64 bits.
template <class Rounding, class Overflow>
[[gnu::always_inline]] inline void round_lane(std::int64_t floor, std::uint64_t top, std::uint64_t sticky,
                                              std::uint64_t negative, const Format& format, Draw draw, std::int64_t i,
                                              std::int64_t* raw, std::uint8_t* clipped, BlockCounts& counts) {
  const Residue r{.floor = {floor, 0}, .top = top, .sticky = sticky, .negative = negative};
  const Integer rounded{floor + static_cast<std::int64_t>(Rounding::up(r, draw)), 0};
  const bool off_range = outside(rounded, format);
  const std::int64_t stored = Overflow::apply(rounded, format);
  raw[i] = stored;
  clipped[i] = off_range;
  counts.overflows += (off_range | (stored != rounded.low)) ? 1 : 0;
  counts.inexact += static_cast<std::int64_t>(r.off_grid());
  counts.round_to_zero += rounded.low == 0 ? static_cast<std::int64_t>(r.off_grid()) : 0;
  counts.clipped += off_range ? 1 : 0;
}

// Values times 2^32 in steps of the format: their floors are exact in 64 bits below 2^62, and no power of two loses a
// bit above 2^-800.
inline bool short_enough(const double* values, std::int64_t count, double step) {
  constexpr double kTop = 0x1p62;
  constexpr double kTiny = 0x1p-800;
  std::int64_t unusual = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const double wide = values[i] * step;
    const double magnitude = wide < 0 ? -wide : wide;
    unusual += (magnitude < kTop) & ((magnitude > kTiny) | (values[i] == 0)) ? 0 : 1;
  }
  return unusual == 0;
}

template <class Rounding, class Overflow>
bool round_doubles(const double* values, std::int64_t count, double step, const Quantizer& q, const std::uint32_t* u,
                   std::int64_t* raw, std::uint8_t* clipped, BlockCounts* out) {
  if (!short_enough(values, count, step)) return false;
  const Format format = q.format;
  const int bits = q.random_bits;
  BlockCounts counts;
  for (std::int64_t i = 0; i < count; ++i) {
    const double wide = values[i] * step;
    auto fixed = static_cast<std::int64_t>(wide);
    const auto back = static_cast<double>(fixed);
    fixed -= back > wide ? 1 : 0;
    Draw draw{0, bits};
    if constexpr (kIsStochastic<Rounding>) draw.u = u[i];
    round_lane<Rounding, Overflow>(fixed >> 32, static_cast<std::uint64_t>(fixed) << 32, back != wide ? 1 : 0,
                                   wide < 0 ? 1 : 0, format, draw, i, raw, clipped, counts);
  }
  *out = counts;
  return true;
}

template <class Rounding, class Overflow>
void round_integers(const std::int64_t* values, std::int64_t count, int drop, const Quantizer& q,
                    const std::uint32_t* u, std::int64_t* raw, std::uint8_t* clipped, BlockCounts* out) {
  const Format format = q.format;
  const int bits = q.random_bits;
  BlockCounts counts;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t value = values[i];
    const std::uint64_t top = drop == 0 ? 0 : static_cast<std::uint64_t>(value) << (64 - drop);
    Draw draw{0, bits};
    if constexpr (kIsStochastic<Rounding>) draw.u = u[i];
    round_lane<Rounding, Overflow>(value >> drop, top, 0, static_cast<std::uint64_t>(value) >> 63, format, draw, i, raw,
                                   clipped, counts);
  }
  *out = counts;
}

template <class... O>
struct Columns {
  template <class R>
  static constexpr void fill(RoundTable& table, std::size_t row) {
    std::size_t column = 0;
    ((table.doubles[row][column] = &round_doubles<R, Stored<O>>,
      table.integers[row][column] = &round_integers<R, Stored<O>>, ++column),
     ...);
  }
};

template <class... R, class... O>
constexpr RoundTable make_table(const std::tuple<R...>*, const std::tuple<O...>*) {
  RoundTable table{};
  std::size_t row = 0;
  (Columns<O...>::template fill<R>(table, row++), ...);
  return table;
}

constexpr RoundTable kRoundTable =
    make_table(static_cast<const Roundings*>(nullptr), static_cast<const Overflows*>(nullptr));

inline void add_shifted(const std::int32_t* values, std::int64_t count, int shift, std::uint64_t* sums) {
  for (std::int64_t i = 0; i < count; ++i) {
    sums[i] += static_cast<std::uint64_t>(std::int64_t{values[i]}) << shift;
  }
}

inline void add_times(const std::int32_t* values, std::int64_t count, std::uint64_t times, std::uint64_t* sums) {
  for (std::int64_t i = 0; i < count; ++i) sums[i] += static_cast<std::uint64_t>(std::int64_t{values[i]}) * times;
}

inline void add_both(const std::int32_t* values, std::int64_t count, std::uint64_t times, double real,
                     std::uint64_t* sums, double* about) {
  for (std::int64_t i = 0; i < count; ++i) {
    sums[i] += static_cast<std::uint64_t>(std::int64_t{values[i]}) * times;
    about[i] += values[i] * real;
  }
}

}  // namespace
}  // namespace fxsim::isa
