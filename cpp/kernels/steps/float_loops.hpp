// The steps of FloatSteps: rows against vectors of columns in registers. Ops gives an instruction set's vector of T and
// its few operations. Internal linkage, as lanes.hpp.
#pragma once

#include <cstdint>

#include "kernels/isa/steps.hpp"

namespace fxsim::isa {
namespace {

template <class Ops, int kRows, int kVectors, bool kCentred, bool kCount>
std::int64_t run_floats(const FloatCall<typename Ops::T>& call) {
  using T = typename Ops::T;
  using Vector = typename Ops::Vector;
  constexpr int kCols = kVectors * Ops::kLanes;
  const Vector low = Ops::broadcast(call.low);
  const Vector high = Ops::broadcast(call.high);
  const Vector offset = Ops::broadcast(call.offset);
  typename Ops::Counts overflows = Ops::no_counts();
  Vector lane[kRows][kVectors];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      lane[i][j] = Ops::add(Ops::load(call.held + i * kCols + j * Ops::kLanes), offset);
    }
  }
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
      for (int j = 0; j < kVectors; ++j) {
        const Vector sum = Ops::fused(row, column[j], lane[i][j]);
        if constexpr (kCentred) {
          lane[i][j] = Ops::within(sum, low, high);
        } else {
          lane[i][j] = Ops::clamped(sum, low, high);
        }
        if constexpr (kCount) overflows = Ops::count_changed(overflows, sum, lane[i][j]);
      }
    }
    ++rows;
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      Ops::store(call.held + i * kCols + j * Ops::kLanes, Ops::subtract(lane[i][j], offset));
    }
  }
  return kCount ? Ops::total(overflows) : 0;
}

// The same where no prefix leaves the register, if all start from the room that the caller knows for that.
template <class Ops, int kRows, int kVectors>
bool run_free_floats(const FloatCall<typename Ops::T>& call) {
  using T = typename Ops::T;
  using Vector = typename Ops::Vector;
  constexpr int kCols = kVectors * Ops::kLanes;
  const Vector offset = Ops::broadcast(call.offset);
  Vector lane[kRows][kVectors];
  Vector least = Ops::broadcast(call.room_high);
  Vector most = Ops::broadcast(call.room_low);
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      lane[i][j] = Ops::add(Ops::load(call.held + i * kCols + j * Ops::kLanes), offset);
      least = Ops::smaller(least, lane[i][j]);
      most = Ops::larger(most, lane[i][j]);
    }
  }
  if (Ops::any_below(least, Ops::broadcast(call.room_low)) || Ops::any_below(Ops::broadcast(call.room_high), most)) {
    return false;
  }
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
      for (int j = 0; j < kVectors; ++j) lane[i][j] = Ops::fused(row, column[j], lane[i][j]);
    }
    ++rows;
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      Ops::store(call.held + i * kCols + j * Ops::kLanes, Ops::subtract(lane[i][j], offset));
    }
  }
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
