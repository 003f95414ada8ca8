#include "rounding/philox.hpp"

#include <algorithm>

namespace fxsim {
namespace {

PhiloxBlock block_words(const Key& key, std::uint64_t block) {
  return philox4x32({static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
                     static_cast<std::uint32_t>(key.stream), static_cast<std::uint32_t>(key.stream >> 32)},
                    static_cast<std::uint32_t>(key.seed), static_cast<std::uint32_t>(key.seed >> 32));
}

// The first `bits` bits of one field.
std::uint32_t field_of(const PhiloxBlock& words, int field, int bits) {
  const int width = 128 / philox_fields(bits);
  const int from = field * width;
  return words[static_cast<std::size_t>(from / 32)] << (32 - width - from % 32) >> (32 - bits);
}

}  // namespace

void philox_scalar(const Key& key, std::uint64_t first, std::int64_t groups, int bits, std::uint32_t* out) {
  const int fields = philox_fields(bits);
  for (std::int64_t group = 0; group < groups; ++group) {
    for (std::uint64_t lane = 0; lane < kPhiloxLanes; ++lane) {
      const PhiloxBlock words = block_words(key, first + static_cast<std::uint64_t>(group) * kPhiloxLanes + lane);
      for (int f = 0; f < fields; ++f) {
        out[(group * fields + f) * kPhiloxLanes + static_cast<std::int64_t>(lane)] = field_of(words, f, bits);
      }
    }
  }
}

std::uint32_t random_bits(const Key& key, std::int64_t index, int bits, Site site, std::int64_t ordinal) {
  const int fields = philox_fields(bits);
  const std::int64_t group = std::int64_t{kPhiloxLanes} * fields;
  const std::int64_t place = index % group;
  const std::uint64_t block =
      static_cast<std::uint64_t>(index / group * kPhiloxLanes + place % kPhiloxLanes) + site_bits(site, ordinal);
  return field_of(block_words(key, block), static_cast<int>(place / kPhiloxLanes), bits);
}

void fill_random_bits(const Key& key, std::int64_t start, std::int64_t count, int bits, Site site, std::int64_t ordinal,
                      std::uint32_t* out, PhiloxFill fill) {
  const std::int64_t group = std::int64_t{kPhiloxLanes} * philox_fields(bits);
  std::array<std::uint32_t, 16 * kPhiloxLanes> scratch;
  std::int64_t done = 0;
  while (done < count) {
    const std::int64_t index = start + done;
    const std::int64_t within = index % group;
    const std::int64_t whole = within == 0 ? (count - done) / group : 0;
    if (whole > 0) {
      fill(key, first_block(index, bits, site, ordinal), whole, bits, out + done);
      done += whole * group;
      continue;
    }
    fill(key, first_block(index, bits, site, ordinal), 1, bits, scratch.data());
    const std::int64_t take = std::min(group - within, count - done);
    std::copy_n(scratch.data() + within, take, out + done);
    done += take;
  }
}

}  // namespace fxsim
