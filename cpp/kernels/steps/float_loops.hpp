// The steps of FloatSteps: rows against vectors of columns in registers. Ops gives an instruction set's vector of T and
// its few operations. Internal linkage, as lanes.hpp.
#pragma once

#include <cstdint>

#include "kernels/isa/steps.hpp"

namespace fxsim::isa {
namespace {

// What rows of a tile hold, offset included.
template <class Ops, int kRows, int kVectors>
struct FloatLanes {
  using T = typename Ops::T;
  using Vector = typename Ops::Vector;
  static constexpr int kCols = kVectors * Ops::kLanes;

  const FloatCall<T>& call;
  const Vector offset = Ops::broadcast(call.offset);
  Vector lane[kRows][kVectors];

  [[gnu::always_inline]] explicit FloatLanes(const FloatCall<T>& of) : call(of) {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) {
        lane[i][j] = Ops::add(Ops::load(call.held + i * kCols + j * Ops::kLanes), offset);
      }
    }
  }

  // Every k adds a product, and what is held becomes settle(sum).
  template <class Settle>
  [[gnu::always_inline]] void step(const Settle& settle) {
    const T* columns = call.columns;
    const T* rows = call.rows;
    for (std::int64_t k = 0; k < call.depth; ++k) {
      Vector column[kVectors];
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) column[j] = Ops::load(columns + j * Ops::kLanes);
      columns += kCols;
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) {
        const Vector row = Ops::broadcast(rows[i * call.row_stride]);
#pragma GCC unroll 4
        for (int j = 0; j < kVectors; ++j) lane[i][j] = settle(Ops::fused(row, column[j], lane[i][j]));
      }
      ++rows;
    }
  }

  [[gnu::always_inline]] void store() const {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) {
        Ops::store(call.held + i * kCols + j * Ops::kLanes, Ops::subtract(lane[i][j], offset));
      }
    }
  }

  [[gnu::always_inline]] bool have_room() const {
    const Vector low = Ops::broadcast(call.room_low), high = Ops::broadcast(call.room_high);
    Vector least = high, most = low;
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) {
        least = Ops::smaller(least, lane[i][j]);
        most = Ops::larger(most, lane[i][j]);
      }
    }
    return !Ops::any_below(least, low) && !Ops::any_below(high, most);
  }
};

template <class Ops, int kRows, int kVectors, bool kCentred, bool kCount>
std::int64_t run_floats(const FloatCall<typename Ops::T>& call) {
  using Vector = typename Ops::Vector;
  const Vector low = Ops::broadcast(call.low);
  const Vector high = Ops::broadcast(call.high);
  typename Ops::Counts overflows = Ops::no_counts();
  FloatLanes<Ops, kRows, kVectors> lanes(call);
  lanes.step([&](Vector sum) __attribute__((always_inline)) {
    Vector kept;
    if constexpr (kCentred) {
      kept = Ops::within(sum, low, high);
    } else {
      kept = Ops::clamped(sum, low, high);
    }
    if constexpr (kCount) overflows = Ops::count_changed(overflows, sum, kept);
    return kept;
  });
  lanes.store();
  return kCount ? Ops::total(overflows) : 0;
}

// The same where no prefix leaves the register, if all start from the room that the caller knows for that.
template <class Ops, int kRows, int kVectors>
bool run_free_floats(const FloatCall<typename Ops::T>& call) {
  using Vector = typename Ops::Vector;
  FloatLanes<Ops, kRows, kVectors> lanes(call);
  if (!lanes.have_room()) return false;
  lanes.step([](Vector sum) __attribute__((always_inline)) { return sum; });
  lanes.store();
  return true;
}

template <class Ops, int kRows, int kVectors>
constexpr FloatSteps<typename Ops::T> make_float_steps() {
  return {kRows,
          kVectors * Ops::kLanes,
          &run_free_floats<Ops, kRows, kVectors>,
          {{&run_floats<Ops, kRows, kVectors, false, false>, &run_floats<Ops, kRows, kVectors, false, true>},
           {&run_floats<Ops, kRows, kVectors, true, false>, &run_floats<Ops, kRows, kVectors, true, true>}}};
}

}  // namespace
}  // namespace fxsim::isa
