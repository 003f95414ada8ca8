// The loops of a tile, for any instruction set: Ops gives its vector, how to broadcast a group of four bytes and how to
// multiply and add. Internal linkage, as lanes.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/generic/keep.hpp"
#include "kernels/isa/tile.hpp"

namespace fxsim::isa {
namespace {

// Five pixels hang on one base register: an address is base + {0, 1, 2, 4} * pitch or base + (3 * pitch), all of them
// forms the processor has. With a register a pixel, GCC would reload pointers from the stack in the inner loop.
inline constexpr int kPixelsPerBase = 5;

template <class Ops, int kRows, int kVectors>
[[gnu::always_inline]] inline void store_sums(const TileCall& call, std::int64_t first,
                                              const typename Ops::Vector (&sum)[kRows][kVectors]) {
  const auto each = [&](const auto& store) __attribute__((always_inline)) {
#pragma GCC unroll 32
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) store(first + i * call.out_stride + j * Ops::kLanes, sum[i][j]);
    }
  };
  if constexpr (requires(typename Ops::Vector v) { Ops::stream(call.sums, v); }) {
    if (call.reach == Reach::kPast && call.carriers != nullptr) {
      return each([&](auto at, auto v) { Ops::stream(call.carriers + at, Ops::scaled(v, call.step)); });
    }
    if (call.reach == Reach::kPast) return each([&](auto at, auto v) { Ops::stream(call.sums + at, v); });
  }
  if (call.carriers != nullptr) {
    each([&](auto at, auto v) { Ops::store(call.carriers + at, Ops::scaled(v, call.step)); });
  } else {
    each([&](auto at, auto v) { Ops::store(call.sums + at, v); });
  }
}

// Asks for the lines that the results will be written to.
template <class Ops, int kRows, int kVectors>
[[gnu::always_inline]] inline void ask_for_lines(const TileCall& call, std::int64_t first) {
  if (call.reach != Reach::kFar) return;
  const std::int32_t* to = call.carriers != nullptr ? reinterpret_cast<std::int32_t*>(call.carriers) : call.sums;
  constexpr int kLine = 64 / sizeof(std::int32_t);
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kVectors * Ops::kLanes; j += kLine) __builtin_prefetch(to + first + i * call.out_stride + j, 1);
  }
}

// One tile of a call: its first pixel, and the number of its first output. No inlining: loops around it would cost the
// inner loop registers.
using OneTile = void (*)(const TileCall& call, const std::byte* image, std::int64_t first);

[[gnu::always_inline]] inline void for_tiles(const TileCall& call, OneTile one) {
  for (std::int64_t line = 0; line < call.lines.count; ++line) {
    const std::byte* image = call.image + line * call.lines.bytes;
    std::int64_t first = line * call.lines.elements;
    for (std::int64_t tile = call.tiles.count; tile > 0; --tile) {
      one(call, image, first);
      image += call.tiles.bytes;
      first += call.tiles.elements;
    }
  }
}

template <class Ops, int kRows, int kVectors>
[[gnu::noinline]] void one_tile(const TileCall& call, const std::byte* image, std::int64_t first) {
  using Vector = typename Ops::Vector;
  constexpr int kBases = (kRows + kPixelsPerBase - 1) / kPixelsPerBase;
  ask_for_lines<Ops, kRows, kVectors>(call, first);
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
      base[b] = image + call.runs[r] + kPixelsPerBase * b * pitch;
      asm("" : "+r"(base[b]));
    }
    const auto add_group = [&](int ahead) __attribute__((always_inline)) {
      Vector column[kVectors];
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) column[j] = Ops::load(packed + (ahead * kVectors + j) * Ops::kBytes);
#pragma GCC unroll 32
      for (int i = 0; i < kRows; ++i) {
        const int place = i % kPixelsPerBase;
        const std::byte* pixel = base[i / kPixelsPerBase] + (place == 3 ? three : place * pitch);
        const Vector group = Ops::broadcast_group(pixel + 4 * ahead);
#pragma GCC unroll 8
        for (int j = 0; j < kVectors; ++j) sum[i][j] = Ops::multiply_add(sum[i][j], group, column[j]);
      }
      keep<Ops, kRows>(column);
    };
    const auto advance = [&](int by) __attribute__((always_inline)) {
      packed += by * kVectors * Ops::kBytes;
#pragma GCC unroll 8
      for (int b = 0; b < kBases; ++b) {
        base[b] += 4 * by;
        asm("" : "+r"(base[b]));
      }
    };
    for (std::int64_t g = groups / 2; g > 0; --g) {
      add_group(0);
      add_group(1);
      advance(2);
    }
    if (groups % 2 != 0) {
      add_group(0);
      advance(1);
    }
  }
  store_sums<Ops, kRows, kVectors>(call, first, sum);
}

template <class Ops, int kRows, int kVectors>
void run_tile(const TileCall& call) {
  for_tiles(call, &one_tile<Ops, kRows, kVectors>);
}

// The same sums for runs of three neighbouring pixels and tiles whose pixels are neighbours too (pitch = a pixel's
// bytes). Pixel p of a line is the first tap of output p, the second of p - 1 and the third of p - 2, so that it is
// broadcast once for three multiply-adds a vector: with few vectors of columns, run_tile waits for broadcasts.
template <class Ops, int kRows, int kVectors>
[[gnu::noinline]] void one_band(const TileCall& call, const std::byte* image, std::int64_t first) {
  using Vector = typename Ops::Vector;
  constexpr int kTaps = 3;
  constexpr int kPixels = kRows + kTaps - 1;
  constexpr int kBases = (kPixels + kPixelsPerBase - 1) / kPixelsPerBase;
  ask_for_lines<Ops, kRows, kVectors>(call, first);
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
  asm("" : "+r"(three));
  const std::int64_t groups = call.groups / kTaps;
  const std::int64_t tap_bytes = groups * kVectors * Ops::kBytes;
  for (std::int64_t r = 0; r < call.run_count; ++r) {
    const std::byte* base[kBases];
#pragma GCC unroll 8
    for (int b = 0; b < kBases; ++b) {
      base[b] = image + call.runs[r] + kPixelsPerBase * b * pitch;
      asm("" : "+r"(base[b]));
    }
    for (std::int64_t g = 0; g < groups; ++g) {
      Vector tap[kTaps][kVectors];
#pragma GCC unroll 8
      for (int t = 0; t < kTaps; ++t) {
#pragma GCC unroll 8
        for (int j = 0; j < kVectors; ++j) tap[t][j] = Ops::load(packed + t * tap_bytes + j * Ops::kBytes);
      }
#pragma GCC unroll 32
      for (int p = 0; p < kPixels; ++p) {
        const int place = p % kPixelsPerBase;
        const std::byte* pixel = base[p / kPixelsPerBase] + (place == 3 ? three : place * pitch);
        const Vector group = Ops::broadcast_group(pixel);
#pragma GCC unroll 8
        for (int t = 0; t < kTaps; ++t) {
          if (p < t || p - t >= kRows) continue;
#pragma GCC unroll 8
          for (int j = 0; j < kVectors; ++j) sum[p - t][j] = Ops::multiply_add(sum[p - t][j], group, tap[t][j]);
        }
      }
      packed += kVectors * Ops::kBytes;
#pragma GCC unroll 8
      for (int b = 0; b < kBases; ++b) {
        base[b] += 4;
        asm("" : "+r"(base[b]));
      }
    }
    packed += 2 * tap_bytes;
  }
  store_sums<Ops, kRows, kVectors>(call, first, sum);
}

template <class Ops, int kRows, int kVectors>
void run_band(const TileCall& call) {
  for_tiles(call, &one_band<Ops, kRows, kVectors>);
}

// A width with a band kernel for kRows pixels.
template <class Ops, int kRows, int kVectors>
constexpr TileWidth with_band(TileWidth width) {
  width.band_rows = kRows;
  width.band = &run_band<Ops, kRows, kVectors>;
  return width;
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
  const std::byte* right[kVectors];
#pragma GCC unroll 8
  for (int j = 0; j < kVectors; ++j) {
    right[j] = call.right + call.vectors[j];
    asm("" : "+r"(right[j]));
  }
  const std::byte* left = call.left;
  const std::byte* ahead = call.ahead;
  const std::uint32_t* const end = call.places + call.pixels;
  for (const std::uint32_t* place = call.places; place != end; ++place) {
    __builtin_prefetch(ahead, 0, 2);  // into the second cache
    ahead += call.ahead_step;
    Vector vector[kVectors];
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) vector[j] = Ops::load(right[j] + std::size_t{*place} * 4);
    const std::byte* last = right[kVectors - 1] + std::size_t{*place} * 4;
#pragma GCC unroll 32
    for (int i = 0; i < kRows; ++i) {
      if constexpr (!kHoldsAll<Ops, kRows, kVectors>) {
        asm("" : "+r"(last));  // so that the last vector is an operand in memory, for every row anew
        vector[kVectors - 1] = Ops::load(last);
      }
      const Vector group = Ops::broadcast_group(left + 4 * i);
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) sum[i][j] = Ops::multiply_add(sum[i][j], vector[j], group);
    }
    keep<Ops, kRows>(vector);
    left += call.left_step;
  }
#pragma GCC unroll 32
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) Ops::store(call.sums + (i * kVectors + j) * Ops::kLanes, sum[i][j]);
  }
}

// As bytes and as words too.
alignas(64) inline constexpr std::int32_t kMinusOnes[16] = {-1, -1, -1, -1, -1, -1, -1, -1,
                                                            -1, -1, -1, -1, -1, -1, -1, -1};

template <class Ops>
void run_outer_sum(const OuterSum& call) {
  using Vector = typename Ops::Vector;
  constexpr int kChains = 4;  // of additions, each as long as an instruction takes
  Vector sum[kChains];
  for (int j = 0; j < kChains; ++j) sum[j] = j == 0 ? Ops::load(call.from) : Ops::zero();
  const auto sum_all = [&](const std::byte* line, const auto& times) __attribute__((always_inline)) {
    for (std::int64_t l = 0; l < call.lines; ++l, line += call.line) {
      const std::byte* at = line;
      std::int64_t pixel = 0;
      for (; pixel + kChains <= call.pixels; pixel += kChains, at += kChains * call.step) {
#pragma GCC unroll 4
        for (int j = 0; j < kChains; ++j) sum[j] = times(sum[j], Ops::load(at + j * call.step));
      }
      for (; pixel < call.pixels; ++pixel, at += call.step) sum[0] = times(sum[0], Ops::load(at));
    }
  };
  const Vector ones = Ops::ones();
  if (call.left != nullptr) sum_all(call.left, [&](Vector s, Vector v) { return Ops::multiply_add(s, ones, v); });
  if (call.right != nullptr) sum_all(call.right, [&](Vector s, Vector v) { return Ops::multiply_add(s, v, ones); });
  if (call.less != nullptr) {
    const Vector minus = Ops::load(kMinusOnes);
    sum_all(call.less, [&](Vector s, Vector v) { return Ops::multiply_add(s, v, minus); });
  }
  Ops::store(call.sums, Ops::add(Ops::add(sum[0], sum[1]), Ops::add(sum[2], sum[3])));
}

template <class Ops, int kRows, int kVectors>
constexpr Outer make_outer() {
  return {kRows, kVectors, Ops::kLanes, &run_outer<Ops, kRows, kVectors>, &run_outer_sum<Ops>};
}

}  // namespace
}  // namespace fxsim::isa
