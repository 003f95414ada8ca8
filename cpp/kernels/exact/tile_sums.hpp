// The exact sums of one tile, from packed operands: in 32 bits where they are known to fit, else in segments that do,
// limb after limb, joined in 64 bits.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/exact/image.hpp"
#include "kernels/exact/layout.hpp"
#include "kernels/exact/panels.hpp"
#include "kernels/exact/scheme.hpp"

namespace fxsim::exact {

inline constexpr std::int64_t kMostTile = isa::kMostTileRows * isa::kMostTileCols;

// One class of pixels: its runs, the columns packed for them, and what its sums start with.
struct TileClass {
  const PixelClass* y = nullptr;
  const PixelClass* x = nullptr;
  RunPlan runs;
  Panels panels;
  std::vector<Segment> segments;
  LineVector<std::int32_t> start;  // a column

  // Cuts the runs into segments of at most `terms` products.
  void cut(std::int64_t terms) {
    const std::int64_t per_group = 4 / runs.element_bytes;
    const std::int64_t most = std::max<std::int64_t>(terms / per_group, 1);
    const std::int64_t groups = runs.groups();
    if (groups > most) {
      for (std::int64_t run = 0; run < runs.runs(); ++run) {
        for (std::int64_t g = 0; g < groups; g += most) segments.push_back({run, 1, g, std::min(most, groups - g)});
      }
      return;
    }
    const std::int64_t together = most / std::max<std::int64_t>(groups, 1);
    for (std::int64_t run = 0; run < runs.runs(); run += together) {
      segments.push_back({run, std::min(together, runs.runs() - run), 0, groups});
    }
  }
};

// Where a tile stands: `rows` pixels from `pixel` of an image on, `pitch` bytes apart, against a panel.
struct TilePlace {
  std::int64_t pixel = 0;  // bytes
  std::int64_t pitch = 0;
  std::int64_t panel = 0;
  std::int64_t rows = 0;
};

inline void run_once(const isa::TileWidth& width, const TileClass& own, const Image& image, const TilePlace& place,
                     isa::TileCall& call) {
  call.image = image.data(0) + place.pixel;
  call.pitch = place.pitch;
  call.runs = own.runs.offsets.data();
  call.run_count = own.runs.runs();
  call.groups = own.runs.groups();
  call.packed = own.panels.at(place.panel, 0);
  call.start = own.start.data() + place.panel * width.cols;
  width.run[place.rows - 1](call);
}

// sums: rows x cols, offset's share taken off.
inline void run_segments(const isa::Kernels& kernels, const Scheme& scheme, const isa::TileWidth& width,
                         const TileClass& own, const Image& image, const TilePlace& place, std::uint64_t* sums) {
  static constexpr std::int32_t kZeros[isa::kMostTileCols] = {};
  const std::int64_t count = place.rows * width.cols;
  const std::int64_t* column_sums = own.panels.sums() + place.panel * width.cols;
  for (std::int64_t i = 0; i < count; ++i) {
    sums[i] = static_cast<std::uint64_t>(-scheme.image.offset * column_sums[i % width.cols]);
  }
  std::int32_t part[kMostTile];
  isa::TileCall call;
  call.pitch = place.pitch;
  call.start = kZeros;
  call.sums = part;
  call.out_stride = width.cols;
  for (int u = 0; u < scheme.image.limbs.count; ++u) {
    for (int v = 0; v < scheme.columns.limbs.count; ++v) {
      for (const Segment& segment : own.segments) {
        call.image = image.data(u) + place.pixel + segment.group * 4;
        call.runs = own.runs.offsets.data() + segment.run;
        call.run_count = segment.runs;
        call.groups = segment.groups;
        call.packed =
            own.panels.at(place.panel, v) + (segment.run * own.runs.groups() + segment.group) * width.cols * 4;
        width.run[place.rows - 1](call);
        kernels.add_shifted(part, count, scheme.image.limbs.shift(u) + scheme.columns.limbs.shift(v), sums);
      }
    }
  }
}

}  // namespace fxsim::exact
