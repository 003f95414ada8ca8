// What was packed of an operand that will be met again, as the weights of a layer until their next update.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "kernels/exact/panels.hpp"

namespace fxsim::exact {

// One a set of words. Its calls may come from several threads; two that miss at once both pack, to the same end.
class PackStore {
 public:
  // The panels that `pack` makes, `key` being all they depend on besides the words.
  template <class F>
  std::shared_ptr<const Panels> panels(const std::vector<std::int64_t>& key, const F& pack) {
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = panels_.find(key); found != panels_.end()) return found->second;
    }
    std::shared_ptr<const Panels> made = pack();
    const std::lock_guard lock(mutex_);
    if (panels_.size() >= kMost) panels_.clear();
    panels_[key] = made;
    return made;
  }

  // The bits of magnitude that `find` finds the words to need.
  template <class F>
  int bits(const F& find) {
    {
      const std::lock_guard lock(mutex_);
      if (bits_ >= 0) return bits_;
    }
    const int found = find();
    const std::lock_guard lock(mutex_);
    return bits_ = found;
  }

 private:
  static constexpr std::size_t kMost = 16;  // orders: forward, the classes of a dgrad, instruction sets

  std::mutex mutex_;
  std::map<std::vector<std::int64_t>, std::shared_ptr<const Panels>> panels_;
  int bits_ = -1;
};

// The operand's panels, from its store if it has one. In a store, words and strides are always the same.
inline std::shared_ptr<const Panels> packed(const Operand& o, const RunPlan& runs, const ElementRule& rule,
                                            const isa::Copies* copies, int cols, bool magnitudes) {
  const auto pack = [&] {
    auto panels = std::make_shared<Panels>();
    panels->fill(o, runs, rule, copies, cols, magnitudes);
    return panels;
  };
  if (o.kept == nullptr) return pack();
  std::vector<std::int64_t> key{runs.taps_a_run, runs.channels,   runs.element_bytes, runs.runs(), rule.limbs.count,
                                rule.limbs.bits, rule.low_offset, rule.offset,        cols,        magnitudes,
                                rule.balanced,   rule.evaluated};
  key.insert(key.end(), runs.taps.begin(), runs.taps.end());
  return o.kept->panels(key, pack);
}

}  // namespace fxsim::exact
