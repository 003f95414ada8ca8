#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "kernels/api.hpp"
#include "kernels/exact/by_images.hpp"
#include "kernels/isa/isa.hpp"

namespace fxsim::generic {

Events gemm(const GemmCall& call, const isa::Kernels& kernels);

// Products of one channel each that stand side by side, all at once; nothing where the call is no such thing.
std::optional<Events> gemm_across(const GemmCall& call, const isa::Kernels& kernels);

// The product some images at a time; nothing where the words of a would tell how to make it faster, or at all.
std::unique_ptr<exact::ByImages> gemm_by_images(const GemmCall& call, const isa::Kernels& kernels);

Events quantize(const QuantizeCall& call, const isa::Kernels& kernels);

// The same for images that lie one after the other. Calls use(first image, images, their words) on the same thread for
// `together` images after each other, or for the last ones, when their words are there and none was refused. Without
// `out`, words are gone afterwards.
using UseImages = std::function<void(std::int64_t first, std::int64_t count, const void* words)>;
Events quantize_images(const QuantizeCall& call, const isa::Kernels& kernels, std::int64_t images,
                       std::int64_t together, const UseImages& use);

// Events of the quantization, and of every product that was made; those that were not are to be made after it.
struct Made {
  Events words;
  std::vector<std::optional<Events>> products;
};
// Nothing where it takes all words, and there is no `out` for them.
std::optional<Made> quantize_gemms(const QuantizeCall& words, std::span<const GemmCall> products,
                                   const isa::Kernels& kernels);

}  // namespace fxsim::generic
