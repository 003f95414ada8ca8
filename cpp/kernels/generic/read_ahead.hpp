// Asking for memory that is read from one end to the other.
#pragma once

#include <cstdint>

namespace fxsim::isa {
namespace {

// Asks for a line of the next four pages, whose turn it is as the line of `at` is read: a line of each page in turn,
// for a processor that reads from four pages at once fetches more than from one.
[[gnu::always_inline]] inline void read_ahead(const void* at) {
  constexpr int kLineBits = 6, kPageBits = 12;
  constexpr std::uintptr_t kPages = 4, kGroup = kPages << kPageBits;
  const auto address = reinterpret_cast<std::uintptr_t>(at);
  const std::uintptr_t line = (address & (kGroup - 1)) >> kLineBits;
  const std::uintptr_t wanted = (line % kPages) << kPageBits | (line / kPages) << kLineBits;
  __builtin_prefetch(reinterpret_cast<const void*>((address & ~(kGroup - 1)) + kGroup + wanted));
}

}  // namespace
}  // namespace fxsim::isa
