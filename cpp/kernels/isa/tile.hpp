// What a multiply-add tile is told, and the tiles of an instruction set.
//
// A tile is the heart of every exact product: some pixels of an image (or rows of a matrix) against some columns, whose
// operands are consumed in groups of four bytes: four 8-bit values or two 16-bit ones.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/isa/copies.hpp"

namespace fxsim::isa {

struct Many {
  std::int64_t count = 1;
  std::int64_t bytes = 0;
  std::int64_t elements = 0;
};

// Where results are written: to the first cache; to lines that are worth asking for before there is a result; or past
// the caches, which wants whole lines of 64 bytes.
enum class Reach { kNear, kFar, kPast };

// sums(i, j) = start[j] + the sum over runs and groups of pixel i's group times column j's, mod 2^32.
struct TileCall {
  const std::byte* image = nullptr;    // of the first pixel
  std::int64_t pitch = 0;              // bytes from one pixel to the next
  const std::int64_t* runs = nullptr;  // bytes from a pixel to each of its runs
  std::int64_t run_count = 0;
  std::int64_t groups = 0;            // a run
  const std::byte* packed = nullptr;  // group after group: that of every column, side by side
  const std::int32_t* start = nullptr;

  // Where carriers are wanted, sums * step as floats; else the sums. Rows lie out_stride elements apart.
  float* carriers = nullptr;
  std::int32_t* sums = nullptr;
  std::int64_t out_stride = 0;
  float step = 1;
  Reach reach = Reach::kNear;

  // The same for `tiles` tiles side by side on each of `lines` lines: bytes and elements from one to the next.
  Many tiles, lines;
};

using TileRun = void (*)(const TileCall&);

// Tiles of one width: run[r - 1] takes r pixels. `band` is faster, where there is one, for band_rows pixels that are
// neighbours and runs of three that are.
struct TileWidth {
  int cols;
  int rows;
  const TileRun* run;
  int band_rows = 0;
  TileRun band = nullptr;
};

// sums(i, j, v) += the sum over pixels of group i of `left` times group v of vector j of `right`: an outer product a
// pixel. Groups of `left` stand side by side.
struct OuterCall {
  const std::byte* left = nullptr;
  const std::byte* right = nullptr;
  const std::int64_t* vectors = nullptr;  // bytes from a pixel to each vector of `right`
  const std::uint32_t* places = nullptr;  // of each pixel of `right`, in groups of four bytes
  std::int64_t left_step = 0;             // bytes from pixel to pixel
  std::int64_t pixels = 0;
  std::int32_t* sums = nullptr;  // rows x vectors x lanes

  // Asked for from memory, so many bytes further at each pixel.
  const std::byte* ahead = nullptr;
  std::int64_t ahead_step = 0;
};

// sums[v] = from[v] + the sum over pixels of the elements of group v of the vector that is given, of one operand or the
// other; of `right`, pixels that lie the same way from `less` may be taken off.
struct OuterSum {
  const std::byte* left = nullptr;
  const std::byte* right = nullptr;
  const std::byte* less = nullptr;
  std::int64_t step = 0;  // bytes from pixel to pixel
  std::int64_t pixels = 0;
  std::int64_t line = 0;  // bytes from line to line
  std::int64_t lines = 1;
  const std::int32_t* from = nullptr;
  std::int32_t* sums = nullptr;
};

struct Outer {
  int rows;
  int vectors;
  int lanes;
  void (*run)(const OuterCall&);
  void (*sum)(const OuterSum&);
};

inline constexpr int kTileWidths = 3;
inline constexpr int kMostTileRows = 16;
inline constexpr int kMostTileCols = 64;

// Tiles for elements of one size. Columns and `left` are signed; images and `right` are unsigned where the multiply-add
// wants them so.
struct Tiles {
  int element_bytes;
  bool unsigned_image;
  TileWidth widths[kTileWidths];
  Outer outer;
  const Copies* copies = nullptr;  // of bytes
};

}  // namespace fxsim::isa
