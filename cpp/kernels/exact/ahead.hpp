// Memory that is wanted next, asked for while there is something to compute: a part of it at every pixel that an outer
// product multiplies.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/isa/tile.hpp"
#include "numbers/integers.hpp"
#include "numbers/operand.hpp"

namespace fxsim::exact {

class Ahead {
 public:
  void clear() {
    stretches_.clear();
    next_ = 0;
  }

  // Lines first .. first + lines - 1 of images n .. n + images - 1, where channels stand side by side. What follows
  // without a gap is one stretch.
  void add(const Operand& o, std::int64_t n, std::int64_t images, std::int64_t first, std::int64_t lines) {
    if (o.stride_c != 1 || o.stride_y <= 0) return;
    const auto bytes = static_cast<std::int64_t>(element_bytes(o.storage));
    const std::int64_t last = std::min(n + images, o.pixels.n);
    const std::int64_t from = std::clamp<std::int64_t>(first, 0, o.map_y.size);
    const std::int64_t to = std::clamp<std::int64_t>(first + lines, 0, o.map_y.size);
    for (; n < last; ++n) {
      const auto* at = static_cast<const std::byte*>(o.data) + (n * o.stride_n + from * o.stride_y) * bytes;
      const std::int64_t size = (to - from) * o.stride_y * bytes;
      if (!stretches_.empty() && stretches_.back().end == at) {
        stretches_.back().end += size;
      } else {
        stretches_.push_back({at, at + size});
      }
    }
  }

  // So many pixels will be multiplied meanwhile. Asking for a line at each would fill the buffers that the loads of the
  // products need as well, so what is wanted is spread over all of them.
  void spread(std::int64_t pixels) {
    std::int64_t bytes = 0;
    for (const Stretch& each : stretches_) bytes += each.end - each.begin;
    step_ = std::clamp<std::int64_t>(ceil_div(bytes, std::max<std::int64_t>(pixels, 1)), 1, kLine);
  }

  // The next bytes are the call's to ask for; where none are left, it asks for what is there already.
  void give(isa::OuterCall& call) {
    call.ahead = call.left;
    call.ahead_step = 0;
    if (next_ == stretches_.size()) return;
    Stretch& own = stretches_[next_];
    call.ahead = own.begin;
    call.ahead_step = step_;
    const std::int64_t asked = std::min(call.pixels * step_, own.end - own.begin);
    own.begin += asked;
    if (own.begin == own.end) ++next_;
  }

 private:
  static constexpr std::int64_t kLine = 64;

  struct Stretch {
    const std::byte* begin;
    const std::byte* end;
  };

  std::vector<Stretch> stretches_;
  std::size_t next_ = 0;
  std::int64_t step_ = kLine;
};

}  // namespace fxsim::exact
