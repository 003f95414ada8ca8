#include "kernels/dispatch.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "kernels/api.hpp"
#include "kernels/batch_norm.hpp"
#include "kernels/clear.hpp"
#include "kernels/generic/batch_norm.hpp"
#include "kernels/generic/gemm.hpp"
#include "kernels/generic/macs.hpp"
#include "kernels/generic/word_counter.hpp"
#include "kernels/isa/list.hpp"
#include "kernels/macs.hpp"
#include "kernels/mask_bits.hpp"
#include "kernels/reference/reference.hpp"
#include "kernels/repeat.hpp"

namespace fxsim {
namespace {

const isa::Isa* find(std::string_view name) {
  const Cpu cpu = this_cpu();
  for (const isa::Isa& candidate : isa::kIsas) {
    if (candidate.name == name && candidate.supported(cpu)) return &candidate;
  }
  return nullptr;
}

const isa::Isa* best() { return find(available_isas().back()); }

std::atomic<const isa::Isa*> active{nullptr};

const isa::Isa& current() {
  const isa::Isa* isa = active.load();
  if (isa == nullptr) {
    isa = best();
    active.store(isa);
  }
  return *isa;
}

std::array<std::atomic<bool>, isa::kIsas.size()> used{};

// The active path's kernels, for a call that is about to run them; none: the reference.
const isa::Kernels* use() {
  const isa::Isa& isa = current();
  used[static_cast<std::size_t>(&isa - isa::kIsas.data())].store(true, std::memory_order_relaxed);
  return isa.kernels;
}

const isa::BatchNormPasses& batch_norm_passes() {
  const isa::Kernels* kernels = use();
  return kernels == nullptr ? reference::kBatchNorm : *kernels->batch_norm;
}

}  // namespace

std::vector<std::string> isas_of(const Cpu& cpu) {
  std::vector<std::string> names;
  for (const isa::Isa& candidate : isa::kIsas) {
    if (candidate.supported(cpu)) names.emplace_back(candidate.name);
  }
  return names;
}

std::vector<std::string> available_isas() { return isas_of(this_cpu()); }

std::vector<std::string> used_isas() {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < used.size(); ++i) {
    if (used[i].load()) names.emplace_back(isa::kIsas[i].name);
  }
  return names;
}

std::string active_isa() { return std::string(current().name); }

bool force_isa(std::string_view name) {
  const isa::Isa* chosen = name.empty() ? best() : find(name);
  if (chosen == nullptr) return false;
  active.store(chosen);
  return true;
}

Events gemm(const GemmCall& call) {
  const isa::Kernels* kernels = use();
  const auto run = [kernels](const GemmCall& one) {
    if (kernels != nullptr) return generic::gemm(one, *kernels);
    const Events events = reference::gemm(one);
    clear_result(one);
    return events;
  };
  if (call.repeat.count == 1) return run(call);
  std::optional<Events> events;
  if (kernels != nullptr) events = generic::gemm_across(call, *kernels);
  return events ? *events : run_repeated(call, run);
}

MacCounts count_macs(const Operand& a, const Operand& b, const Repeat& repeat, const WordCounts* of_a,
                     const WordCounts* of_b) {
  const isa::Kernels* kernels = use();
  return generic::count_macs(a, b, repeat, of_a, of_b, *(kernels == nullptr ? isa::kPortable : *kernels).non_zero);
}

Events quantize(const QuantizeCall& call) {
  if (const isa::Kernels* kernels = use()) return generic::quantize(call, *kernels);
  QuantizeCall own = call;
  std::vector<std::uint8_t> clipped;
  if (call.clipped_bits != nullptr) {
    clipped.resize(static_cast<std::size_t>(mask_bytes(call.in.size()) * 8));
    own.clipped = clipped.data();
  }
  const Events events = reference::quantize(own);
  if (call.clipped_bits != nullptr) bits_of_bytes(clipped.data(), call.in.size(), call.clipped_bits);
  if (call.words != nullptr) {
    generic::WordCounter counter(*call.words, call.out, call.out_storage, isa::kPortable, false);
    const auto written = [](std::int64_t, std::int64_t, void*) {};
    for (std::int64_t task = 0; task < counter.tasks(); ++task) counter.run(task, written);
  }
  return events;
}

namespace {

// For products that take all words at once.
std::vector<Events> with_words_kept(const QuantizeCall& words, std::span<const GemmCall> products) {
  const std::size_t bytes = static_cast<std::size_t>(words.in.size()) * element_bytes(words.out_storage);
  std::vector<std::byte> kept(std::max<std::size_t>(bytes, 1));
  QuantizeCall own = words;
  own.out = kept.data();
  std::vector<GemmCall> given(products.begin(), products.end());
  for (GemmCall& product : given) product.a.data = own.out;
  return quantize_gemms(own, given);
}

}  // namespace

std::vector<Events> quantize_gemms(const QuantizeCall& words, std::span<const GemmCall> products) {
  std::optional<generic::Made> found;
  const isa::Kernels* kernels = words.in.size() > 0 ? use() : nullptr;
  if (kernels != nullptr) found = generic::quantize_gemms(words, products, *kernels);
  if (!found && words.out == nullptr) return with_words_kept(words, products);
  generic::Made made = found.value_or(generic::Made{{}, std::vector<std::optional<Events>>(products.size())});
  if (!found && words.in.size() > 0) made.words = quantize(words);
  std::vector<Events> events{made.words};
  for (std::size_t i = 0; i < products.size() && !made.words.fault.found(); ++i) {
    const bool there = products[i].repeat.count > 0 && products[i].out.rows > 0 && products[i].out.cols > 0;
    if (!made.products[i] && there) made.products[i] = gemm(products[i]);
    events.push_back(made.products[i].value_or(Events{}));
  }
  return events;
}

void batch_statistics(const BatchStatisticsCall& call) { generic::batch_statistics(call, batch_norm_passes()); }

void batch_norm_relu(const BatchNormCall& call) { generic::batch_norm_relu(call, batch_norm_passes()); }

void batch_norm_relu_backward(const BatchNormBackwardCall& call) {
  generic::batch_norm_relu_backward(call, batch_norm_passes());
}

}  // namespace fxsim
