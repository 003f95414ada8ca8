// From tiles of sums of stored elements to a channel's outputs: limbs added up, offsets taken off.
//
// Stored elements may be moved by offsets: s = value + o. With sums over all k, of which there are `count`,
//   sum((l - ol) * (r - or)) = sum(l * r) - or * sum(l) - ol * sum(r) + ol * or * count.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/exact/outer_sums.hpp"
#include "kernels/exact/scheme.hpp"
#include "kernels/isa/isa.hpp"

namespace fxsim::exact {

// How tiles follow one another: `rows` channels by `size` elements of a window each.
struct OuterPlace {
  std::int64_t rows = 1, size = 0;
  std::int64_t groups = 0;         // tiles side by side that cover a window
  std::int64_t limb_channels = 0;  // padded to whole tiles
  std::int64_t channels = 0;       // of all limbs

  std::int64_t tile(std::int64_t limb, std::int64_t group, std::int64_t row) const {
    return ((limb * groups + group) * (channels / rows) + row) * rows * size;
  }
  std::int64_t width() const { return groups * size; }
};

class OuterJoin {
 public:
  OuterJoin(const OuterSums& all, const OuterPlace& place, const Scheme& scheme, const isa::Kernels& kernels)
      : all_(all), place_(place), scheme_(scheme), kernels_(kernels), joined_(static_cast<std::size_t>(place.width())) {
    for_limbs([this](int, int left, int shift) {
      const std::int64_t offset = scheme_.columns.stored_zero(left);
      if (offset == 0) return;
      const auto times = static_cast<std::uint64_t>(offset) << shift;
      offsets_.resize(joined_.size());
      for (std::size_t i = 0; i < offsets_.size(); ++i)
        offsets_[i] -= times * static_cast<std::uint64_t>(all_.right[i]);
    });
  }

  // One channel's outputs, vector after vector; they stay until the next call.
  const std::int64_t* channel(std::int64_t channel) {
    std::uint64_t every = 0;
    for_limbs([&](int right, int left, int shift) {
      const std::int64_t offset = scheme_.image.stored_zero(right);
      std::int64_t common = scheme_.columns.stored_zero(left) * offset * all_.count();
      if (offset != 0) common -= offset * all_.left[static_cast<std::size_t>(row(left, channel))];
      every += static_cast<std::uint64_t>(common) << shift;
    });
    if (offsets_.empty()) {
      std::fill(joined_.begin(), joined_.end(), every);
    } else {
      for (std::size_t i = 0; i < joined_.size(); ++i) joined_[i] = offsets_[i] + every;
    }
    for_limbs([&](int right, int left, int shift) {
      const std::int64_t at = row(left, channel);
      for (std::int64_t group = 0; group < place_.groups; ++group) {
        const std::int64_t first = place_.tile(right, group, at / place_.rows) + at % place_.rows * place_.size;
        all_.add_to(first, place_.size, shift, joined_.data() + group * place_.size, kernels_);
      }
    });
    return reinterpret_cast<const std::int64_t*>(joined_.data());
  }

 private:
  // Calls f(right, left, shift) for every pair of limbs.
  template <class F>
  void for_limbs(const F& f) const {
    for (int right = 0; right < scheme_.image.limbs.count; ++right) {
      for (int left = 0; left < scheme_.columns.limbs.count; ++left) {
        f(right, left, scheme_.image.limbs.shift(right) + scheme_.columns.limbs.shift(left));
      }
    }
  }

  std::int64_t row(int limb, std::int64_t channel) const { return limb * place_.limb_channels + channel; }

  const OuterSums& all_;
  const OuterPlace& place_;
  const Scheme& scheme_;
  const isa::Kernels& kernels_;
  std::vector<std::uint64_t> joined_;
  std::vector<std::uint64_t> offsets_;  // what every channel has taken off; empty: nothing
};

}  // namespace fxsim::exact
