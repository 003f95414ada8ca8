// The loops of a tile, for any instruction set: Ops gives its vector, how to broadcast a group of four bytes and how to
// multiply and add. Internal linkage, as lanes.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/isa/tile.hpp"

namespace fxsim::isa {
namespace {

// Five pixels hang on one base register: an address is base + {0, 1, 2, 4} * pitch or base + (3 * pitch), all of them
// forms the processor has. With a register a pixel, GCC would reload pointers from the stack in the inner loop.
inline constexpr int kPixelsPerBase = 5;

template <class Ops, int kRows, int kVectors>
void run_tile(const TileCall& call) {
  using Vector = typename Ops::Vector;
  constexpr int kBases = (kRows + kPixelsPerBase - 1) / kPixelsPerBase;
  Vector sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int j = 0; j < kVectors; ++j) {
    const Vector start = Ops::load(call.start + j * Ops::kLanes);
#pragma GCC unroll 32
    for (int i = 0; i < kRows; ++i) sum[i][j] = start;
  }
  const std::byte* packed = call.packed;
  const std::int64_t pitch = call.pitch;
  std::int64_t three = 3 * pitch;
  asm("" : "+r"(three));  // a value of its own, or GCC would keep it as base + pitch + 2 * pitch
  const std::int64_t groups = call.groups;
  for (std::int64_t r = 0; r < call.run_count; ++r) {
    const std::byte* base[kBases];
#pragma GCC unroll 8
    for (int b = 0; b < kBases; ++b) {
      base[b] = call.image + call.runs[r] + kPixelsPerBase * b * pitch;
      asm("" : "+r"(base[b]));
    }
    for (std::int64_t g = 0; g < groups; ++g) {
      Vector column[kVectors];
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) column[j] = Ops::load(packed + j * Ops::kBytes);
#pragma GCC unroll 32
      for (int i = 0; i < kRows; ++i) {
        const int place = i % kPixelsPerBase;
        const Vector group = Ops::broadcast_group(base[i / kPixelsPerBase] + (place == 3 ? three : place * pitch));
#pragma GCC unroll 8
        for (int j = 0; j < kVectors; ++j) sum[i][j] = Ops::multiply_add(sum[i][j], group, column[j]);
      }
      packed += kVectors * Ops::kBytes;
#pragma GCC unroll 8
      for (int b = 0; b < kBases; ++b) {
        base[b] += 4;
        asm("" : "+r"(base[b]));
      }
    }
  }
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) {
      const std::int64_t at = i * call.out_stride + j * Ops::kLanes;
      if (call.carriers != nullptr) {
        Ops::store_scaled(call.carriers + at, sum[i][j], call.step);
      } else {
        Ops::store(call.sums + at, sum[i][j]);
      }
    }
  }
}

// Tiles of every number of rows up to kRows.
template <class Ops, int kVectors, int... kRow>
struct TileRows {
  static constexpr TileRun kRun[] = {&run_tile<Ops, kRow, kVectors>...};
  static constexpr TileWidth kWidth{kVectors * Ops::kLanes, sizeof...(kRow), kRun};
};

template <class Ops, int kRows, int kVectors>
void run_outer(const OuterCall& call) {
  using Vector = typename Ops::Vector;
  Vector sum[kRows][kVectors];
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) sum[i][j] = Ops::load(call.sums + (i * kVectors + j) * Ops::kLanes);
  }
  for (std::int64_t block = 0; block < call.blocks; ++block) {
    for (std::int64_t line = 0; line < call.lines; ++line) {
      const std::byte* left = call.left + block * call.left_block + line * call.left_line;
      const std::byte* right = call.right + block * call.right_block + line * call.right_line;
      for (std::int64_t pixel = 0; pixel < call.pixels; ++pixel) {
        Vector vector[kVectors];
#pragma GCC unroll 8
        for (int j = 0; j < kVectors; ++j) vector[j] = Ops::load(right + j * call.vector_stride);
#pragma GCC unroll 32
        for (int i = 0; i < kRows; ++i) {
          const Vector group = Ops::broadcast_group(left + 4 * i);
#pragma GCC unroll 8
          for (int j = 0; j < kVectors; ++j) sum[i][j] = Ops::multiply_add(sum[i][j], vector[j], group);
        }
        left += call.left_step;
        right += call.right_step;
      }
    }
  }
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) Ops::store(call.sums + (i * kVectors + j) * Ops::kLanes, sum[i][j]);
  }
}

template <class Ops, int kRows, int kVectors>
constexpr Outer make_outer() {
  return {kRows, kVectors, Ops::kLanes, &run_outer<Ops, kRows, kVectors>};
}

}  // namespace
}  // namespace fxsim::isa
