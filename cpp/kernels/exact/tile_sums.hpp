// The exact sums of one tile, from packed operands: in 32 bits where they are known to fit, else in segments that do,
// limb after limb, joined in 64 bits.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/exact/image.hpp"
#include "kernels/exact/layout.hpp"
#include "kernels/exact/panels.hpp"
#include "kernels/exact/scheme.hpp"
#include "kernels/exact/segments.hpp"
#include "kernels/parallel.hpp"

namespace fxsim::exact {

inline constexpr std::int64_t kMostTile = isa::kMostTileRows * isa::kMostTileCols;

// One class of pixels: its runs, the columns packed for them, and what its sums start with.
struct TileClass {
  const PixelClass* y = nullptr;
  const PixelClass* x = nullptr;
  RunPlan runs;
  bool takes_bands = false;
  std::shared_ptr<const Panels> panels;
  std::vector<std::vector<Segment>> segments;  // of each panel
  LineVector<std::int32_t> start;              // a column

  std::int64_t all_groups() const { return runs.runs() * runs.groups(); }

  // Cuts every panel's groups into segments. False: a single group may leave 32 bits.
  bool cut(const Scheme& scheme) {
    segments.assign(static_cast<std::size_t>(panels->panels()), {});
    if (scheme.terms >= runs.terms()) {
      for (auto& own : segments) own.push_back({0, runs.runs(), 0, runs.groups()});
      return true;
    }
    std::atomic<bool> possible = true;
    parallel_for(panels->panels(), [&](std::int64_t panel) {
      SegmentCutter cutter(runs, *panels, panel, scheme.image_most);
      if (!cutter.run(segments[static_cast<std::size_t>(panel)])) possible = false;
    });
    return possible;
  }

  std::int64_t most_segments() const {
    std::size_t most = 0;
    for (const std::vector<Segment>& own : segments) most = std::max(most, own.size());
    return static_cast<std::int64_t>(most);
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
  call.packed = own.panels->at(place.panel, 0);
  call.start = own.start.data() + place.panel * width.cols;
  (own.takes_bands && place.rows == width.band_rows ? width.band : width.run[place.rows - 1])(call);
}

// sums: rows x cols, offset's share taken off, mod 2^64; `about`, where it is wanted, as wide_sums.hpp has it.
inline void run_segments(const isa::Kernels& kernels, const Scheme& scheme, const isa::TileWidth& width,
                         const TileClass& own, const Image& image, const TilePlace& place, std::uint64_t* sums,
                         double* about) {
  static constexpr std::int32_t kZeros[isa::kMostTileCols] = {};
  const std::int64_t count = place.rows * width.cols;
  std::fill_n(sums, count, 0);
  if (scheme.image.offset != 0) {
    const std::int64_t* column_sums = own.panels->sums() + place.panel * width.cols;
    for (std::int64_t i = 0; i < place.rows; ++i) {
      for (std::int64_t j = 0; j < width.cols; ++j) {
        sums[i * width.cols + j] = static_cast<std::uint64_t>(-scheme.image.offset * column_sums[j]);
      }
    }
  }
  if (about != nullptr) std::fill_n(about, count, 0.0);
  std::int32_t part[kMostTile];
  const std::vector<Segment>& segments = own.segments[static_cast<std::size_t>(place.panel)];
  isa::TileCall call;
  call.pitch = place.pitch;
  call.start = kZeros;
  call.sums = part;
  call.out_stride = width.cols;
  for (const Pass& pass : scheme.passes) {
    for (const Segment& segment : segments) {
      call.image = image.data(pass.image) + place.pixel + segment.group * 4;
      call.runs = own.runs.offsets.data() + segment.run;
      call.run_count = segment.runs;
      call.groups = segment.groups;
      call.packed = own.panels->at(place.panel, pass.columns) +
                    (segment.run * own.runs.groups() + segment.group) * width.cols * 4;
      width.run[place.rows - 1](call);
      if (about != nullptr) {
        kernels.add_both(part, count, pass.times, pass.real, sums, about);
      } else if (pass.shift >= 0) {
        kernels.add_shifted(part, count, pass.shift, sums);
      } else {
        kernels.add_times(part, count, pass.times, sums);
      }
    }
  }
}

}  // namespace fxsim::exact
