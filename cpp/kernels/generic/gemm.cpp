// Chooses, once a call, between the exact sum and the steps, and the integer type that is wide enough.
#include "kernels/generic/gemm.hpp"

#include <cstdint>
#include <memory>
#include <optional>

#include "kernels/clear.hpp"
#include "kernels/exact/across.hpp"
#include "kernels/exact/across_outer.hpp"
#include "kernels/exact/exact_outer.hpp"
#include "kernels/exact/exact_tiles.hpp"
#include "kernels/exact/extent.hpp"
#include "kernels/exact/wide_sums.hpp"
#include "kernels/generic/exact_gemm.hpp"
#include "kernels/steps/data_bound.hpp"
#include "kernels/steps/stepped.hpp"

namespace fxsim::generic {
namespace {

// The call with formats no wider than what its operands hold, where theirs ask for more than 64 bits. Every exact sum
// is the same, and so is what becomes of it.
GemmCall as_narrow_as_values(const GemmCall& call) {
  GemmCall narrow = call;
  if (width_needed(call) <= 64) return narrow;
  for (Operand* o : {&narrow.a, &narrow.b}) exact::take_used_bits(*o, o->format.magnitude_bits());
  return narrow;
}

Events exact_sums(const GemmCall& call, const isa::Kernels& kernels) {
  const bool by_tiles = kernels.words != nullptr && call.a.depth() > 0;
  const bool fit = exact::sum_fits_64_bits(call, call.a.format, call.b.format);
  bool cleared = false;
  Events events;
  with_width(width_needed(call), [&](auto zero) {
    using I = decltype(zero);
    if (by_tiles && fit && exact::is_outer(call)) {
      events = exact::ExactOuter<I>(call, kernels).run();
    } else if (by_tiles && !exact::is_outer(call) && (fit || exact::about_is_close(call))) {
      exact::ExactTiles<I> tiles(call, kernels);
      events = tiles.run();
      cleared = tiles.clears();
    } else if (fit) {
      events = ExactGemm<std::uint64_t, I>(call, kernels).run();
    } else {
      events = ExactGemm<uint128, I>(call, kernels).run();  // 64 + log2 K bits at most
    }
  });
  if (!cleared) clear_result(call);
  return events;
}

template <class I>
class TilesByImages final : public exact::ByImages {
 public:
  TilesByImages(const GemmCall& call, const isa::Kernels& kernels) : tiles_(call, kernels, false) {}

  bool possible() { return tiles_.prepare_for_images(); }
  void run(std::int64_t first, std::int64_t count, const void* words, Events& events) override {
    tiles_.run_images(first, count, words, events);
  }
  Events finish() override { return {}; }

 private:
  exact::ExactTiles<I> tiles_;
};

template <class I>
class OuterByImages final : public exact::ByImages {
 public:
  OuterByImages(const GemmCall& call, const isa::Kernels& kernels) : outer_(call, kernels, false) {}

  bool possible() const { return outer_.may_run_images(); }
  void run(std::int64_t first, std::int64_t count, const void* words, Events&) override {
    outer_.run_images(first, count, words);
  }
  Events finish() override { return outer_.finish(); }

 private:
  exact::ExactOuter<I> outer_;
};

template <class Product>
std::unique_ptr<exact::ByImages> if_possible(const GemmCall& call, const isa::Kernels& kernels) {
  auto product = std::make_unique<Product>(call, kernels);
  if (!product->possible()) return nullptr;
  return product;
}

}  // namespace

Events gemm(const GemmCall& call, const isa::Kernels& kernels) {
  if (exact_sum_decides(call) || steps::data_stay_inside(call, kernels)) {
    return exact_sums(as_narrow_as_values(call), kernels);
  }
  Events events;
  with_width(width_needed(call), [&](auto zero) { events = steps::stepped<decltype(zero)>(call, kernels); });
  clear_result(call);
  return events;
}

std::unique_ptr<exact::ByImages> gemm_by_images(const GemmCall& call, const isa::Kernels& kernels) {
  using I = std::int64_t;
  const bool alone = call.repeat.count == 1 && call.out.rows > 0 && call.out.cols > 0 && call.a.depth() > 0;
  if (!alone || kernels.words == nullptr || !exact_sum_decides(call) || width_needed(call) > 64 ||
      !exact::sum_fits_64_bits(call, call.a.format, call.b.format)) {
    return nullptr;
  }
  if (!exact::is_outer(call)) return if_possible<TilesByImages<I>>(call, kernels);
  return call.clear == nullptr ? if_possible<OuterByImages<I>>(call, kernels) : nullptr;
}

std::optional<Events> gemm_across(const GemmCall& call, const isa::Kernels& kernels) {
  std::optional<Events> events;
  if (call.a.depth() == 0) return events;
  with_width(width_needed(call), [&](auto zero) {
    using I = decltype(zero);
    const auto run = [&](auto&& all) {
      if (all.possible()) events = all.run();
    };
    if (exact::is_across(call)) {
      run(exact::ExactAcross<I>(call, kernels));
    } else if (exact::is_across_outer(call)) {
      run(exact::AcrossOuter<I>(call, kernels));
    }
  });
  return events;
}

}  // namespace fxsim::generic
