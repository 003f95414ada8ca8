// Words and their products, some images at a time: a product takes words from the second cache.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "kernels/generic/gemm.hpp"
#include "kernels/generic/word_counter.hpp"
#include "numbers/integers.hpp"

namespace fxsim::generic {
namespace {

constexpr std::int64_t kTogether = exact::ByImages::kTogether;

// Images of a batch, or rows of a matrix, that are quantized before their products are made: enough words that few are
// between two of them, and few enough for the second cache beside floats that come and go.
std::int64_t images_together(std::int64_t image) {
  constexpr std::int64_t kWords = std::int64_t{1} << 16;
  return std::max<std::int64_t>(kWords / std::max<std::int64_t>(image, 1) / kTogether, 1) * kTogether;
}

// Whether the words of the call are the images of a product one after the other.
bool are_images(const QuantizeCall& words, const GemmCall& product, std::int64_t images) {
  const Operand& a = product.a;
  return a.data == words.out && a.pixels.n == images && a.stride_n * images == words.in.size();
}

}  // namespace

std::optional<Made> quantize_gemms(const QuantizeCall& words, std::span<const GemmCall> products,
                                   const isa::Kernels& kernels) {
  const std::int64_t images = products.empty() ? 0 : products.front().a.pixels.n;
  Made made{.words = {}, .products = std::vector<std::optional<Events>>(products.size())};
  std::vector<std::unique_ptr<exact::ByImages>> together(products.size());
  for (std::size_t i = 0; i < products.size(); ++i) {
    if (images > 0 && are_images(words, products[i], images)) together[i] = gemm_by_images(products[i], kernels);
    if (together[i] != nullptr) made.products[i].emplace();
  }
  const auto later = [](const auto& product) { return product == nullptr; };
  const bool taken_whole = products.empty() || words.words != nullptr || std::ranges::any_of(together, later);
  if (words.out == nullptr && taken_whole) return std::nullopt;
  if (std::ranges::all_of(together, later)) {
    made.words = quantize(words, kernels);
    return made;
  }
  std::mutex mutex;
  const auto use = [&](std::int64_t first, std::int64_t count, const void* at) {
    for (std::size_t i = 0; i < together.size(); ++i) {
      if (together[i] == nullptr) continue;
      Events events;
      together[i]->run(first, count, at, events);
      const std::lock_guard lock(mutex);
      made.products[i]->merge(events);
    }
  };
  std::int64_t count = images_together(words.in.size() / images);
  if (words.words != nullptr) count = std::min(count, WordCounter::kMostImages / kTogether * kTogether);
  made.words = quantize_images(words, kernels, images, count, use);
  if (made.words.fault.found()) return made;
  for (std::size_t i = 0; i < together.size(); ++i) {
    if (together[i] != nullptr) made.products[i]->merge(together[i]->finish());
  }
  return made;
}

}  // namespace fxsim::generic
