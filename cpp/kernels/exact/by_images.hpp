// A product made some images at a time, or rows of a matrix, as the words of its operand a come to be.
#pragma once

#include <cstdint>

#include "kernels/api.hpp"

namespace fxsim::exact {

class ByImages {
 public:
  static constexpr std::int64_t kTogether = 4;

  ByImages() = default;
  ByImages(const ByImages&) = delete;
  ByImages& operator=(const ByImages&) = delete;
  virtual ~ByImages() = default;

  // The share of images first .. first + count - 1, whose words are at `words`, on this thread; others may have other
  // images meanwhile. Both are multiples of kTogether, but for the end of the batch.
  virtual void run(std::int64_t first, std::int64_t count, const void* words, Events& events) = 0;

  // What is left to do once every image had its turn.
  virtual Events finish() = 0;
};

// Operand a of a product, of which only images first, first + 1, ... are there, or rows of a matrix.
struct Words {
  Words(const Operand& a, std::int64_t given) : operand(a), first(given) {}
  Words(const Operand& a, std::int64_t given, const void* at) : Words(a, given) {
    operand.data = at;
    operand.pixels.n -= given;
  }

  Operand operand;
  std::int64_t first;
};

}  // namespace fxsim::exact
