#include "rounding/philox.hpp"

#include <algorithm>

namespace fxsim {
namespace {

std::uint64_t site_bits(Site site, std::int64_t ordinal) {
  return (static_cast<std::uint64_t>(ordinal) << 40) + (static_cast<std::uint64_t>(site) << 61);
}

PhiloxBlock block_words(const Key& key, std::uint64_t block) {
  return philox4x32({static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
                     static_cast<std::uint32_t>(key.stream), static_cast<std::uint32_t>(key.stream >> 32)},
                    static_cast<std::uint32_t>(key.seed), static_cast<std::uint32_t>(key.seed >> 32));
}

// The 16 * fields values of sixteen blocks, in element order.
template <int kFields>
void cut_fields(const std::uint32_t word[4][16], int bits, std::uint32_t* out) {
  constexpr int kWidth = 128 / kFields;
  constexpr int kPerWord = 32 / kWidth;
  constexpr std::uint32_t kMask = ~std::uint32_t{0} >> (32 - kWidth);
  for (int f = 0; f < kFields; ++f) {
    for (int lane = 0; lane < kPhiloxLanes; ++lane) {
      out[f * kPhiloxLanes + lane] = (word[f / kPerWord][lane] >> (kWidth * (f % kPerWord)) & kMask) >> (kWidth - bits);
    }
  }
}

void fill_group(const Key& key, std::int64_t q, int bits, std::uint64_t site, PhiloxLanes lanes, std::uint32_t* out) {
  std::uint32_t word[4][16];
  lanes(static_cast<std::uint64_t>(q) * kPhiloxLanes + site, key.stream, key.seed, word);
  switch (philox_fields(bits)) {
    case 16: return cut_fields<16>(word, bits, out);
    case 8: return cut_fields<8>(word, bits, out);
    default: return cut_fields<4>(word, bits, out);
  }
}

}  // namespace

void philox_scalar(std::uint64_t first, std::uint64_t stream, std::uint64_t seed, std::uint32_t word[4][16]) {
  for (std::uint64_t lane = 0; lane < kPhiloxLanes; ++lane) {
    const PhiloxBlock words = block_words({seed, stream}, first + lane);
    for (std::size_t w = 0; w < 4; ++w) word[w][lane] = words[w];
  }
}

std::uint32_t random_bits(const Key& key, std::int64_t index, int bits, Site site, std::int64_t ordinal) {
  const int fields = philox_fields(bits);
  const std::int64_t group = std::int64_t{kPhiloxLanes} * fields;
  const std::int64_t place = index % group;
  const std::uint64_t block =
      static_cast<std::uint64_t>(index / group * kPhiloxLanes + place % kPhiloxLanes) + site_bits(site, ordinal);
  const PhiloxBlock words = block_words(key, block);
  const int width = 128 / fields;
  const int from = static_cast<int>(place / kPhiloxLanes) * width;
  const std::uint32_t field = words[static_cast<std::size_t>(from / 32)] << (32 - width - from % 32) >> (32 - width);
  return field >> (width - bits);
}

void fill_random_bits(const Key& key, std::int64_t start, std::int64_t count, int bits, Site site, std::int64_t ordinal,
                      std::uint32_t* out, PhiloxLanes lanes) {
  const std::int64_t group = std::int64_t{kPhiloxLanes} * philox_fields(bits);
  const std::uint64_t offset = site_bits(site, ordinal);
  std::array<std::uint32_t, 16 * 16> scratch;
  std::int64_t done = 0;
  while (done < count) {
    const std::int64_t index = start + done;
    const std::int64_t within = index % group;
    if (within == 0 && count - done >= group) {
      fill_group(key, index / group, bits, offset, lanes, out + done);
      done += group;
      continue;
    }
    fill_group(key, index / group, bits, offset, lanes, scratch.data());
    const std::int64_t take = std::min(group - within, count - done);
    std::copy_n(scratch.data() + within, take, out + done);
    done += take;
  }
}

}  // namespace fxsim
