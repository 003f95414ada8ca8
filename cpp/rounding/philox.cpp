#include "rounding/philox.hpp"

#include <algorithm>

namespace fxsim {
namespace {

constexpr std::uint32_t kMultiplier0 = 0xD2511F53;
constexpr std::uint32_t kMultiplier1 = 0xCD9E8D57;
constexpr std::uint32_t kWeyl0 = 0x9E3779B9;
constexpr std::uint32_t kWeyl1 = 0xBB67AE85;

struct Lanes {
  std::uint32_t word[4][kPhiloxLanes];
};

// The same ten rounds on sixteen counters at once; the loops over lanes vectorize.
void philox_lanes(Lanes& state, std::uint32_t key0, std::uint32_t key1) {
  for (int round = 0; round < kPhiloxRounds; ++round) {
    for (int l = 0; l < kPhiloxLanes; ++l) {
      const std::uint64_t p0 = std::uint64_t{kMultiplier0} * state.word[0][l];
      const std::uint64_t p1 = std::uint64_t{kMultiplier1} * state.word[2][l];
      state.word[0][l] = static_cast<std::uint32_t>(p1 >> 32) ^ state.word[1][l] ^ key0;
      state.word[1][l] = static_cast<std::uint32_t>(p1);
      state.word[2][l] = static_cast<std::uint32_t>(p0 >> 32) ^ state.word[3][l] ^ key1;
      state.word[3][l] = static_cast<std::uint32_t>(p0);
    }
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
}

std::uint64_t site_bits(Site site, std::int64_t ordinal) {
  return (static_cast<std::uint64_t>(ordinal) << 40) + (static_cast<std::uint64_t>(site) << 61);
}

// The 16 * fields values of group q, in element order.
void fill_group(const Key& key, std::int64_t q, int bits, std::uint64_t site, std::uint32_t* out) {
  const auto seed = key.seed;
  const std::uint64_t first = static_cast<std::uint64_t>(q) * kPhiloxLanes + site;
  Lanes state;
  for (int l = 0; l < kPhiloxLanes; ++l) {
    const std::uint64_t block = first + static_cast<std::uint64_t>(l);
    state.word[0][l] = static_cast<std::uint32_t>(block);
    state.word[1][l] = static_cast<std::uint32_t>(block >> 32);
    state.word[2][l] = static_cast<std::uint32_t>(key.stream);
    state.word[3][l] = static_cast<std::uint32_t>(key.stream >> 32);
  }
  philox_lanes(state, static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32));
  const int fields = philox_fields(bits);
  const int width = 128 / fields;
  const int per_word = 32 / width;
  const std::uint32_t mask = width == 32 ? ~std::uint32_t{0} : (std::uint32_t{1} << width) - 1;
  for (int f = 0; f < fields; ++f) {
    const std::uint32_t* word = state.word[f / per_word];
    const int shift = width * (f % per_word);
    for (int l = 0; l < kPhiloxLanes; ++l) {
      out[f * kPhiloxLanes + l] = (word[l] >> shift & mask) >> (width - bits);
    }
  }
}

}  // namespace

PhiloxBlock philox4x32(PhiloxBlock c, std::uint32_t key0, std::uint32_t key1) {
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const std::uint64_t p0 = std::uint64_t{kMultiplier0} * c[0];
    const std::uint64_t p1 = std::uint64_t{kMultiplier1} * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ key0, static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ key1, static_cast<std::uint32_t>(p0)};
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  return c;
}

std::uint32_t random_bits(const Key& key, std::int64_t index, int bits, Site site, std::int64_t ordinal) {
  const int fields = philox_fields(bits);
  const std::int64_t group = std::int64_t{kPhiloxLanes} * fields;
  const std::int64_t place = index % group;
  const std::uint64_t block = static_cast<std::uint64_t>(index / group * kPhiloxLanes + place % kPhiloxLanes) +
                              site_bits(site, ordinal);
  const PhiloxBlock words = philox4x32({static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
                                        static_cast<std::uint32_t>(key.stream),
                                        static_cast<std::uint32_t>(key.stream >> 32)},
                                       static_cast<std::uint32_t>(key.seed), static_cast<std::uint32_t>(key.seed >> 32));
  const int width = 128 / fields;
  const int from = static_cast<int>(place / kPhiloxLanes) * width;
  const std::uint32_t field = words[static_cast<std::size_t>(from / 32)] << (32 - width - from % 32) >> (32 - width);
  return field >> (width - bits);
}

void fill_random_bits(const Key& key, std::int64_t start, std::int64_t count, int bits, Site site, std::int64_t ordinal,
                      std::uint32_t* out) {
  const std::int64_t group = std::int64_t{kPhiloxLanes} * philox_fields(bits);
  const std::uint64_t offset = site_bits(site, ordinal);
  std::array<std::uint32_t, 16 * 16> scratch;
  std::int64_t done = 0;
  while (done < count) {
    const std::int64_t index = start + done;
    const std::int64_t within = index % group;
    if (within == 0 && count - done >= group) {
      fill_group(key, index / group, bits, offset, out + done);
      done += group;
      continue;
    }
    fill_group(key, index / group, bits, offset, scratch.data());
    const std::int64_t take = std::min(group - within, count - done);
    std::copy_n(scratch.data() + within, take, out + done);
    done += take;
  }
}

}  // namespace fxsim
