// Quantize and requantize: a whole tensor, or image by image for whoever takes the words.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/api.hpp"
#include "kernels/generic/gemm.hpp"
#include "kernels/generic/quantize_range.hpp"
#include "kernels/generic/word_counter.hpp"
#include "kernels/parallel.hpp"
#include "numbers/integers.hpp"

namespace fxsim::generic {
namespace {

// Calls run(task, range, result) for every task of 0 .. tasks - 1, on all threads.
template <class Element, class F>
Events over_ranges(const QuantizeCall& call, const StridedArray& in, const isa::Kernels& kernels, bool past,
                   std::int64_t tasks, const F& run) {
  std::vector<QuantizeResult> results(static_cast<std::size_t>(tasks));
  parallel_for(tasks, [&](std::int64_t task) {
    QuantizeRange<Element> range(call, in, kernels, past);
    run(task, range, results[static_cast<std::size_t>(task)]);
    range.close();
  });
  QuantizeResult total;
  for (const QuantizeResult& own : results) total.merge(own);
  return total.reported();
}

// Writes what a counter asks for where it wants it.
template <class Element>
auto stretches(QuantizeRange<Element>& range, QuantizeResult& result) {
  return [&](std::int64_t start, std::int64_t end, void* out) { range.run(start, end, out, start, result); };
}

template <class Element>
Events quantize_blocks(const QuantizeCall& call, const isa::Kernels& kernels) {
  constexpr std::int64_t kTask = 32 * kBlock32;
  const StridedArray in = merged(call.in);
  const std::int64_t size = in.size();
  if (call.words == nullptr) {
    return over_ranges<Element>(call, in, kernels, true, ceil_div(size, kTask),
                                [&](std::int64_t task, auto& range, QuantizeResult& result) {
                                  range.run(task * kTask, std::min(size, (task + 1) * kTask), call.out, 0, result);
                                });
  }
  // Counted words go past the caches by way of the counter.
  WordCounter counter(*call.words, call.out, call.out_storage, kernels, streams_words(call, size, kernels));
  return over_ranges<Element>(
      call, in, kernels, false, counter.tasks(),
      [&](std::int64_t task, auto& range, QuantizeResult& result) { counter.run(task, stretches(range, result)); });
}

// Of this thread, as it was left, from the beginning of a line on.
void* scratch(std::int64_t bytes) {
  struct alignas(isa::kStreamLine) Line {
    std::byte bytes[isa::kStreamLine];
  };
  static thread_local std::vector<Line> lines;
  lines.resize(std::max(lines.size(), static_cast<std::size_t>(ceil_div(bytes, isa::kStreamLine))));
  return lines.data();
}

template <class Element>
Events quantize_images_as(const QuantizeCall& call, const isa::Kernels& kernels, std::int64_t images,
                          std::int64_t together, const UseImages& use) {
  const StridedArray in = merged(call.in);
  const std::int64_t image = in.size() / images;
  const auto element = static_cast<std::int64_t>(element_bytes(call.out_storage));
  std::optional<WordCounter> counter;
  if (call.words != nullptr) counter.emplace(*call.words, call.out, call.out_storage, kernels, false);
  const Events events =
      over_ranges<Element>(call, in, kernels, false, ceil_div(images, together),
                           [&](std::int64_t task, auto& range, QuantizeResult& result) {
                             const std::int64_t first = task * together, end = std::min(images, first + together);
                             void* words = call.out == nullptr ? scratch((end - first) * image * element)
                                                               : advanced(call.out, call.out_storage, first * image);
                             if (counter) {
                               counter->run_images(first, end, stretches(range, result));
                             } else {
                               range.run(first * image, end * image, words, first * image, result);
                             }
                             if (!result.reported().fault.found()) use(first, end - first, words);
                           });
  if (counter) counter->finish();
  return events;
}

// Calls f with a value of the type that elements are taken as.
template <class F>
Events with_elements(const QuantizeCall& call, const F& f) {
  switch (call.in.storage) {
    case Storage::kFloat32: return f(float{});
    case Storage::kFloat64: return f(double{});
    case Storage::kInt64: return f(std::int64_t{});
    default: return f(std::int32_t{});
  }
}

}  // namespace

Events quantize(const QuantizeCall& call, const isa::Kernels& kernels) {
  return with_elements(call, [&](auto zero) { return quantize_blocks<decltype(zero)>(call, kernels); });
}

Events quantize_images(const QuantizeCall& call, const isa::Kernels& kernels, std::int64_t images,
                       std::int64_t together, const UseImages& use) {
  return with_elements(
      call, [&](auto zero) { return quantize_images_as<decltype(zero)>(call, kernels, images, together, use); });
}

}  // namespace fxsim::generic
