// What an instruction set offers to bring bytes and words into the order that tiles multiply them in. Groups of four
// bytes are little-endian words.
#pragma once

#include <cstdint>

namespace fxsim::isa {

struct Copies {
  // to[i] = from[i] ^ flip.
  void (*bytes)(const std::uint8_t* from, std::int64_t count, std::uint8_t flip, std::uint8_t* to);

  // Byte q of group i is byte i of image q, which begins q * apart elements further, ^ flip.
  void (*join)(const std::uint8_t* from, std::int64_t apart, std::int64_t count, std::uint8_t flip,
               std::uint32_t* groups);

  // The same for the low bytes of words ^ 0x80, and for their high bytes, of pixels that follow one another. Groups of
  // the next pixel stand `pitch` further.
  void (*split)(const std::int16_t* from, std::int64_t apart, std::int64_t channels, std::int64_t pixels,
                std::uint32_t* low, std::uint32_t* high, std::int64_t pitch);

  // Rows of signed bytes, four to a group: groups[r * groups_apart + i] has bytes i of rows 4 r ... 4 r + 3, which lie
  // `apart` each; sums[i] += all of them.
  void (*join_rows)(const std::int8_t* from, std::int64_t apart, std::int64_t fours, std::int64_t count,
                    std::uint32_t* groups, std::int64_t groups_apart, std::int32_t* sums);

  // Rows of signed bytes, or of words, two to a group of words: groups[r * groups_apart + i] has values i of rows 2 r
  // and 2 r + 1. Where magnitudes are wanted, magnitudes[i] += both without their signs.
  template <class T>
  using PairRows = void (*)(const T* from, std::int64_t apart, std::int64_t pairs, std::int64_t count,
                            std::uint32_t* groups, std::int64_t groups_apart, std::int32_t* magnitudes);
  PairRows<std::int8_t> pair_bytes;
  PairRows<std::int16_t> pair_words;
};

}  // namespace fxsim::isa
