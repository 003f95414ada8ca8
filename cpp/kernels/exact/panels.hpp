// The operand that is packed whole, once a call: its rows are the columns of tiles, in panels as wide as a tile, their
// elements in the order in which a pixel's runs are walked.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "kernels/exact/elements.hpp"
#include "kernels/generic/gather.hpp"
#include "kernels/isa/copies.hpp"
#include "kernels/parallel.hpp"
#include "numbers/aligned.hpp"
#include "numbers/operand.hpp"

namespace fxsim::exact {

// The taps that a class of pixels meets, run after run; taps of a run are neighbours in the image.
struct RunPlan {
  std::vector<std::int64_t> offsets;  // of each run in the image
  std::vector<std::int64_t> taps;     // first k of each tap in the operand's own order
  std::int64_t taps_a_run = 0;
  std::int64_t channels = 0;
  int element_bytes = 1;

  std::int64_t runs() const { return static_cast<std::int64_t>(offsets.size()); }
  std::int64_t groups() const { return ceil_div(taps_a_run * channels * element_bytes, 4); }
  std::int64_t terms() const { return runs() * taps_a_run * channels; }
};

class Panels {
 public:
  // copies: those of the tiles that will read it. `magnitudes`: whether largest_magnitude will be asked for.
  void fill(const Operand& o, const RunPlan& plan, const ElementRule& rule, const isa::Copies* copies, int cols,
            bool magnitudes) {
    cols_ = cols;
    limbs_ = rule.elements();
    rows_ = o.rows();
    limb_bytes_ = plan.runs() * plan.groups() * cols * 4;
    panels_ = ceil_div(rows_, cols);
    sums_.assign(static_cast<std::size_t>(panels_ * cols), 0);
    magnitudes_.assign(static_cast<std::size_t>(magnitudes ? panels_ * cols : 0), 0);
    const bool side_by_side = plan.terms() == o.depth() && is_matrix(o) && o.stride_n == 1;
    const bool limbs_side_by_side = side_by_side && plan.element_bytes == 2;
    const bool whole_groups = o.depth() % (4 / plan.element_bytes) == 0;
    bytes_.resize(static_cast<std::size_t>(panels_ * limbs_ * limb_bytes_));
    const bool all_written = rows_ % cols == 0 && (!side_by_side || (limbs_ == 1 && whole_groups));
    if (!all_written) std::fill(bytes_.begin(), bytes_.end(), std::byte{0});
    parallel_for(panels_, [&](std::int64_t panel) {
      with_element(plan.element_bytes, [&](auto zero) {
        using T = std::make_signed_t<decltype(zero)>;
        if (side_by_side && limbs_ == 1) return pack_columns<T>(o, copies, panel);
        if (limbs_side_by_side) {
          pack_limbs_of_columns(o, rule, panel);
        } else {
          std::vector<std::int64_t> wide;
          std::vector<T> row;
          for (std::int64_t n = panel * cols; n < std::min(rows_, (panel + 1) * cols); ++n) {
            pack_row(o, plan, rule, n, wide, row);
          }
        }
        const auto elements = limb_bytes_ / static_cast<std::int64_t>(sizeof(T));
        rule.evaluate(reinterpret_cast<T*>(bytes_.data() + panel * limbs_ * limb_bytes_), elements, elements);
      });
    });
  }

  std::int64_t panels() const { return panels_; }
  int cols() const { return cols_; }
  int limbs() const { return limbs_; }
  const std::byte* at(std::int64_t panel, int limb) const {
    return bytes_.data() + (panel * limbs_ + limb) * limb_bytes_;
  }
  // Per row the sum of its values, where they are bytes themselves; 0 for the columns that fill up the last panel.
  const std::int64_t* sums() const { return sums_.data(); }
  std::int64_t largest_magnitude() const {
    return magnitudes_.empty() ? 0 : *std::max_element(magnitudes_.begin(), magnitudes_.end());
  }

 private:
  template <class T>
  void pack_row(const Operand& o, const RunPlan& plan, const ElementRule& rule, std::int64_t n,
                std::vector<std::int64_t>& wide, std::vector<T>& row) {
    const std::int64_t run_terms = plan.taps_a_run * plan.channels;
    const std::int64_t run_elements = plan.groups() * 4 / plan.element_bytes;
    row.assign(static_cast<std::size_t>(plan.runs() * run_elements), T{0});
    if (limbs_ == 1) {
      T* next = row.data();
      for (std::size_t i = 0; i < plan.taps.size(); ++i) {
        generic::gather<T>(o, n, plan.taps[i], plan.taps[i] + plan.channels, 0, next);
        const bool ends_run = static_cast<std::int64_t>(i + 1) % plan.taps_a_run == 0;
        next += plan.channels + (ends_run ? run_elements - run_terms : 0);
      }
      sum_row(n, row.data(), static_cast<std::int64_t>(row.size()));
      place(n, 0, row);
      return;
    }
    wide.resize(static_cast<std::size_t>(plan.terms()));
    std::int64_t* next = wide.data();
    for (const std::int64_t tap : plan.taps) {
      generic::gather<std::int64_t>(o, n, tap, tap + plan.channels, 0, next);
      next += plan.channels;
    }
    add_row_magnitudes(n, wide.data(), plan.terms());
    for (int limb = 0; limb < rule.limbs.count; ++limb) {
      for (std::int64_t run = 0; run < plan.runs(); ++run) {
        rule.apply(wide.data() + run * run_terms, 1, run_terms, limb, row.data() + run * run_elements);
      }
      place(n, limb, row);
    }
  }

  template <class T>
  void sum_row(std::int64_t n, const T* values, std::int64_t count) {
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < count; ++i) sum += values[i];
    sums_[static_cast<std::size_t>(n)] = sum;
    add_row_magnitudes(n, values, count);
  }

  template <class T>
  void add_row_magnitudes(std::int64_t n, const T* values, std::int64_t count) {
    if (magnitudes_.empty()) return;
    std::int64_t magnitude = 0;
    for (std::int64_t i = 0; i < count; ++i) magnitude += values[i] < 0 ? -std::int64_t{values[i]} : values[i];
    magnitudes_[static_cast<std::size_t>(n)] = magnitude;
  }

  template <class T>
  void place(std::int64_t n, int limb, const std::vector<T>& row) {
    std::byte* to = bytes_.data() + (n / cols_ * limbs_ + limb) * limb_bytes_ + n % cols_ * 4;
    const auto* from = reinterpret_cast<const std::byte*>(row.data());
    const auto groups = static_cast<std::int64_t>(row.size() * sizeof(T)) / 4;
    for (std::int64_t g = 0; g < groups; ++g) std::memcpy(to + g * cols_ * 4, from + g * 4, 4);
  }

  // Of a matrix whose rows, the columns of tiles, stand side by side in memory: k by k, without a detour.
  template <class T>
  void pack_columns(const Operand& o, const isa::Copies* copies, std::int64_t panel) {
    constexpr std::int64_t kGroup = 4 / sizeof(T);
    const std::int64_t first = panel * cols_;
    const std::int64_t count = std::min<std::int64_t>(cols_, rows_ - first);
    std::int64_t* sums = sums_.data() + first;
    std::int64_t* magnitudes = magnitudes_.empty() ? nullptr : magnitudes_.data() + first;
    T* to = reinterpret_cast<T*>(bytes_.data() + panel * limb_bytes_);
    with_integers(o, [&](const auto* data) {
      const auto* from = data + first;
      using From = std::remove_cvref_t<decltype(*from)>;
      [[maybe_unused]] const bool has_copies = copies != nullptr && std::endian::native == std::endian::little;
      std::int64_t k = 0;
      if constexpr (sizeof(T) == 1 && sizeof(From) == 1) {
        if (has_copies && magnitudes == nullptr) {
          k = join_rows(*copies, reinterpret_cast<const std::int8_t*>(from), o, count, to, sums);
        }
      } else if constexpr (sizeof(T) == 2 && std::is_same_v<From, std::int8_t>) {
        if (has_copies) k = pair_rows(copies->pair_bytes, from, o, count, to, magnitudes);
      } else if constexpr (sizeof(T) == 2 && std::is_same_v<From, std::int16_t>) {
        if (has_copies) k = pair_rows(copies->pair_words, from, o, count, to, magnitudes);
      }
      for (; k + kGroup <= o.depth(); k += kGroup) {
        merge_columns<kGroup>(from + k * o.stride_c, o.stride_c, count, to + k * cols_, sums);
        if (magnitudes != nullptr) add_magnitudes<kGroup>(to + k * cols_, count, magnitudes);
      }
      for (std::int64_t q = 0; k + q < o.depth(); ++q) {
        for (std::int64_t j = 0; j < count; ++j) {
          const auto value = static_cast<T>(from[(k + q) * o.stride_c + j]);
          to[k * cols_ + j * kGroup + q] = value;
          sums[j] += value;
          if (magnitudes != nullptr) magnitudes[j] += value < 0 ? -value : value;
        }
      }
    });
  }

  // All whole groups of four bytes; returns how many k they have.
  std::int64_t join_rows(const isa::Copies& copies, const std::int8_t* from, const Operand& o, std::int64_t count,
                         std::int8_t* to, std::int64_t* sums) const {
    constexpr std::int64_t kMost = std::int64_t{1} << 20;  // groups whose sums fit 32 bits
    const std::int64_t fours = o.depth() / 4;
    add_up(fours, kMost, count, sums, [&](std::int64_t first, std::int64_t groups, std::int32_t* short_sums) {
      copies.join_rows(from + 4 * first * o.stride_c, o.stride_c, groups, count,
                       reinterpret_cast<std::uint32_t*>(to) + first * cols_, cols_, short_sums);
    });
    return 4 * fours;
  }

  // The same for groups of two words, with their magnitudes where they are wanted.
  template <class From>
  std::int64_t pair_rows(const isa::Copies::PairRows<From>& pair, const From* from, const Operand& o,
                         std::int64_t count, std::int16_t* to, std::int64_t* magnitudes) const {
    constexpr std::int64_t kMost = std::int64_t{1} << 14;  // groups whose magnitudes fit 32 bits
    const std::int64_t pairs = o.depth() / 2;
    add_up(pairs, kMost, count, magnitudes, [&](std::int64_t first, std::int64_t groups, std::int32_t* short_sums) {
      pair(from + 2 * first * o.stride_c, o.stride_c, groups, count,
           reinterpret_cast<std::uint32_t*>(to) + first * cols_, cols_, short_sums);
    });
    return 2 * pairs;
  }

  // Calls f(first, groups, sums) for at most so many groups at a time, whose sums of 32 bits are added to `sums`, if
  // there are any.
  template <class F>
  static void add_up(std::int64_t groups, std::int64_t most, std::int64_t count, std::int64_t* sums, const F& f) {
    std::vector<std::int32_t> short_sums(static_cast<std::size_t>(sums == nullptr ? 0 : count));
    for (std::int64_t first = 0; first < groups; first += most) {
      std::fill(short_sums.begin(), short_sums.end(), 0);
      f(first, std::min(most, groups - first), sums == nullptr ? nullptr : short_sums.data());
      for (std::size_t j = 0; j < short_sums.size(); ++j) sums[j] += short_sums[j];
    }
  }

  // Such a matrix of words, in several limbs.
  void pack_limbs_of_columns(const Operand& o, const ElementRule& rule, std::int64_t panel) {
    using T = std::int16_t;
    const std::int64_t first = panel * cols_;
    const std::int64_t count = std::min<std::int64_t>(cols_, rows_ - first);
    with_integers(o, [&](const auto* data) {
      const auto* from = data + first;
      for (std::int64_t k = 0; k < o.depth() && !magnitudes_.empty(); ++k) {
        const auto* line = from + k * o.stride_c;
        for (std::int64_t j = 0; j < count; ++j) {
          magnitudes_[static_cast<std::size_t>(first + j)] += line[j] < 0 ? -std::int64_t{line[j]} : line[j];
        }
      }
      for (int limb = 0; limb < rule.limbs.count; ++limb) {
        T* to = reinterpret_cast<T*>(bytes_.data() + (panel * limbs_ + limb) * limb_bytes_);
        rule.template visit<T>(limb, [&](auto element) {
          std::int64_t k = 0;
          for (; k + 2 <= o.depth(); k += 2) {
            merge_limbs(from + k * o.stride_c, from + (k + 1) * o.stride_c, count, to + k * cols_, element);
          }
          for (std::int64_t j = 0; j < count && k < o.depth(); ++j) {
            to[k * cols_ + 2 * j] = element(from[k * o.stride_c + j]);
          }
        });
      }
    });
  }

  template <class T, class From, class F>
  static void merge_limbs(const From* __restrict first, const From* __restrict second, std::int64_t count,
                          T* __restrict to, const F element) {
    for (std::int64_t j = 0; j < count; ++j) {
      to[2 * j] = element(first[j]);
      to[2 * j + 1] = element(second[j]);
    }
  }

  template <std::int64_t kGroup, class T>
  static void add_magnitudes(const T* __restrict groups, std::int64_t count, std::int64_t* __restrict magnitudes) {
    for (std::int64_t j = 0; j < count; ++j) {
      std::int32_t sum = 0;
      for (std::int64_t q = 0; q < kGroup; ++q) {
        const std::int32_t value = groups[j * kGroup + q];
        sum += value < 0 ? -value : value;
      }
      magnitudes[j] += sum;
    }
  }

  template <std::int64_t kGroup, class T, class From>
  static void merge_columns(const From* from, std::int64_t step, std::int64_t count, T* __restrict to,
                            std::int64_t* __restrict sums) {
    const From* __restrict first = from;
    const From* __restrict second = from + step;
    if constexpr (kGroup == 2) {
      for (std::int64_t j = 0; j < count; ++j) {
        to[2 * j] = static_cast<T>(first[j]);
        to[2 * j + 1] = static_cast<T>(second[j]);
      }
    } else {
      const From* __restrict third = from + 2 * step;
      const From* __restrict fourth = from + 3 * step;
      for (std::int64_t j = 0; j < count; ++j) {
        to[4 * j] = static_cast<T>(first[j]);
        to[4 * j + 1] = static_cast<T>(second[j]);
        to[4 * j + 2] = static_cast<T>(third[j]);
        to[4 * j + 3] = static_cast<T>(fourth[j]);
      }
      for (std::int64_t j = 0; j < count; ++j) {
        sums[j] +=
            static_cast<T>(first[j]) + static_cast<T>(second[j]) + static_cast<T>(third[j]) + static_cast<T>(fourth[j]);
      }
    }
  }

  UnwrittenVector<std::byte> bytes_;
  std::vector<std::int64_t> sums_, magnitudes_;
  std::int64_t panels_ = 0, rows_ = 0, limb_bytes_ = 0;
  int cols_ = 1, limbs_ = 1;
};

}  // namespace fxsim::exact
