// The random bits: Philox4x32-10 (Salmon et al., SC 2011) as a pure function of what is rounded.
//
// Sixteen counters stand side by side so that vector code of any width needs no shuffles: with m fields a block,
// elements 16m*q .. 16m*q + 16m - 1 take the blocks 16q .. 16q + 15, field after field.
#pragma once

#include <array>
#include <cstdint>

namespace fxsim {

struct Key {
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;
};

// Which rounding of a call: the output, an accumulator step, the product register, an outer step, a preloaded bias.
enum class Site : std::uint8_t { kOutput = 0, kStep = 1, kProduct = 2, kOuterStep = 3, kPreload = 4 };

using PhiloxBlock = std::array<std::uint32_t, 4>;

inline constexpr int kPhiloxLanes = 16;

// What a site and an ordinal add to a block's number.
inline constexpr int kOrdinalBit = 40;
constexpr std::uint64_t site_bits(Site site, std::int64_t ordinal) {
  return (static_cast<std::uint64_t>(ordinal) << kOrdinalBit) + (static_cast<std::uint64_t>(site) << 61);
}

inline constexpr int kPhiloxRounds = 10;
inline constexpr std::uint64_t kPhiloxFirst = 0xD2511F53;
inline constexpr std::uint64_t kPhiloxSecond = 0xCD9E8D57;

// Of every round, each in 64 bits as vector code reads them.
struct RoundKeys {
  std::uint64_t first[kPhiloxRounds];
  std::uint64_t second[kPhiloxRounds];
};

constexpr RoundKeys round_keys(std::uint64_t seed) {
  RoundKeys keys{};
  auto first = static_cast<std::uint32_t>(seed);
  auto second = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < kPhiloxRounds; ++round) {
    keys.first[round] = first;
    keys.second[round] = second;
    first += 0x9E3779B9;
    second += 0xBB67AE85;
  }
  return keys;
}

constexpr PhiloxBlock philox4x32(PhiloxBlock c, std::uint32_t key0, std::uint32_t key1) {
  const RoundKeys keys = round_keys(std::uint64_t{key1} << 32 | key0);
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const std::uint64_t p0 = kPhiloxFirst * c[0];
    const std::uint64_t p1 = kPhiloxSecond * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32 ^ c[1] ^ keys.first[round]), static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32 ^ c[3] ^ keys.second[round]), static_cast<std::uint32_t>(p0)};
  }
  return c;
}

// Fields a block is cut into when `bits` of each are wanted.
[[gnu::always_inline]] constexpr int philox_fields(int bits) { return bits <= 8 ? 16 : bits <= 16 ? 8 : 4; }

// U of one element.
std::uint32_t random_bits(const Key& key, std::int64_t index, int bits, Site site, std::int64_t ordinal);

// U of the elements of `groups` whole groups, one after the other: sixteen blocks a group, from block `first` on, which
// is a multiple of 16. One an instruction set.
using PhiloxFill = void (*)(const Key& key, std::uint64_t first, std::int64_t groups, int bits, std::uint32_t* out);

void philox_scalar(const Key& key, std::uint64_t first, std::int64_t groups, int bits, std::uint32_t* out);

// The block that element `index` takes, the first of a group of elements; all of the group's take it and those after.
constexpr std::uint64_t first_block(std::int64_t index, int bits, Site site, std::int64_t ordinal) {
  return static_cast<std::uint64_t>(index / (kPhiloxLanes * philox_fields(bits))) * kPhiloxLanes +
         site_bits(site, ordinal);
}

// U of elements start .. start + count - 1.
void fill_random_bits(const Key& key, std::int64_t start, std::int64_t count, int bits, Site site, std::int64_t ordinal,
                      std::uint32_t* out, PhiloxFill fill = &philox_scalar);

}  // namespace fxsim
