// What the micro-kernels of a stepping accumulator are told. Outputs stand side by side in vector lanes, k runs in
// order; every kernel returns how many steps left the register's range where that is counted, else 0.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fxsim::isa {

// Steps of products of 16-bit words, in 32-bit lanes whose addition saturates. A lane holds acc * 2^shift + offset, and
// the words come scaled so that their product carries the same 2^shift.
struct WordCall {
  const std::int32_t* rows = nullptr;  // of each k one group of two words, one of them 0
  std::int64_t row_stride = 0;         // in groups
  const std::byte* columns = nullptr;  // group after group of every column: four bytes or two words
  std::int64_t depth = 0;              // a multiple of 4
  int shift = 0;
  std::int32_t offset = 0;
  std::int32_t lowest = 0;       // of a lane, where the lane's own end is not the register's
  std::int32_t* held = nullptr;  // acc, rows x cols
};

// The same for kListed pairs of a row and one vector of columns in quads.
inline constexpr int kListed = 8;
struct WordList {
  const std::int32_t* rows[kListed];
  std::int32_t* held[kListed];
  const std::byte* columns = nullptr;
  std::int64_t column_stride = 0;  // bytes from quad to quad
  std::int64_t depth = 0;
  int shift = 0;
  std::int32_t offset = 0;
  std::int32_t lowest = 0;
};

using WordRun = std::int64_t (*)(const WordCall&);
using WordListRun = std::int64_t (*)(const WordList&);

// A block of k of unsigned bytes against signed ones: held(i, j) += the sum of their products - compensation[j], where
// no prefix of the block can have left the register, else held(i, j) stays. Returns the vectors that stayed, bit i *
// vectors + j. With S = held before + after, that is where |S - centre| + row_norm * col_norm > room.
struct ByteBlock {
  const std::uint8_t* rows = nullptr;
  std::int64_t row_stride = 0;
  const std::byte* columns = nullptr;  // quads
  std::int64_t depth = 0;              // a multiple of 4
  const std::int32_t* compensation = nullptr;
  const std::int32_t* row_norms = nullptr;  // below 2^15, one every norm_stride
  std::int64_t norm_stride = 0;
  const std::int32_t* col_norms = nullptr;
  std::int32_t centre = 0;
  std::int32_t room = 0;
  std::int32_t* held = nullptr;
};

using ByteBlockRun = std::uint32_t (*)(const ByteBlock&);

// Per kMeasured of `count` values, a multiple of that, the sum of squares and the sum, `stride` apart.
inline constexpr std::int64_t kMeasured = 64;
using RowMeasure = void (*)(const std::uint8_t* values, std::int64_t count, bool is_signed, std::int64_t stride,
                            std::int32_t* squares, std::int32_t* sums);

// Of `fours` rows of quads, as many as a kMeasured holds at most: the sum of squares of each of `width` columns, a
// multiple of the lanes.
using QuadSquares = void (*)(const std::byte* quads, std::int64_t fours, std::int64_t width, std::int32_t* squares);

// words[k] <- the group of two words that meets byte k of a quad of columns: int8(values[k] ^ 0x80) or the byte itself,
// times 2^shift, in the lower word for bytes 0 and 1, in the upper one for bytes 2 and 3. count: a multiple of
// kMeasured.
using RowWords = void (*)(const std::uint8_t* values, std::int64_t count, bool is_signed, int shift,
                          std::int32_t* words);

enum WordSource : std::uint8_t { kQuads, kPairs };

struct WordTile {
  int cols;
  int byte_rows;  // of `bytes`
  int word_rows;  // of `run`
  ByteBlockRun bytes;
  WordRun run[2][2][2];  // source, whether `lowest` is used, whether steps are counted
};

inline constexpr int kWordTiles = 3;
inline constexpr int kMostStepCols = 64;

struct WordSteps {
  int lanes;
  WordTile tiles[kWordTiles];  // widest first
  WordListRun list[2][2];      // whether `lowest` is used, whether steps are counted
  RowMeasure measure;
  QuadSquares squares;
  RowWords widen;
};

// Steps in floating point, for registers whose every state is a number of T: acc + offset is held, of which
//
//     held <- clamp(fused(a * b + held), low, high)
//
// is the whole step, rounding included where the offset makes one step of the register the spacing of T there.
template <class T>
struct FloatCall {
  const T* rows = nullptr;
  std::int64_t row_stride = 0;
  const T* columns = nullptr;  // of each k those of all columns
  std::int64_t depth = 0;
  T offset = 0;
  T low = 0;  // of what is held
  T high = 0;
  T room_low = 0;  // from where no prefix reaches low, or high
  T room_high = 0;
  T* held = nullptr;  // acc, rows x cols
};

template <class T>
using FloatRun = std::int64_t (*)(const FloatCall<T>&);

template <class T>
struct FloatSteps {
  int rows;
  int cols;
  bool (*free)(const FloatCall<T>& call);  // without a clamp; false: not all started from that room, and all stay
  FloatRun<T> run[2][2];                   // whether low = -high, whether steps are counted
};

// A register in lanes. Lanes hold acc * 2^t where the register drops t bits of what enters, so that nothing is shifted:
//
//     held <- limit((s + addend) & keep)    with s = held + what enters, keep = -2^t and
//     addend = base + (s < 0 ? negative : 0) + (s & odd_bit ? odd : 0) + (U << draw_left >> draw_right)
//
// where U is a random integer (for t = 0 none is drawn), and the limit is the overflow mode for lowest, highest and the
// word length times 2^t.
struct LaneRule {
  std::int64_t base = 0, negative = 0, odd = 0;
  std::int64_t odd_bit = 0;
  std::int64_t keep = -1;
  int drop = 0;  // t
  int draw_left = 0, draw_right = 0;
  std::int64_t lowest = 0, highest = 0;
  int wrapped_bits = 1;  // the word length + t
  bool is_signed = true;
};

enum LaneRounding : std::uint8_t { kBaseOnly, kSigned, kOdd, kDraws };  // what the addend depends on; kDraws: and kOdd
enum LaneLimit : std::uint8_t { kClamp, kZero, kWrap };
inline constexpr int kLaneRoundings = 4;
inline constexpr int kLaneLimits = 3;

// Rows x cols values of type Lane, row after row; cols is a multiple of kLanePadding. What enters is a[i] * b[j] *
// 2^enter_shift in `step` and `fresh`, and pending(i, j) in `settle`; `fresh` starts from 0 and leaves acc itself.
inline constexpr std::int64_t kLanePadding = 16;
template <class Lane>
struct LaneCall {
  const LaneRule* rule = nullptr;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  const std::int32_t* a = nullptr;  // one a row, a_stride apart
  std::int64_t a_stride = 0;
  const std::int32_t* b = nullptr;
  const Lane* pending = nullptr;
  const std::uint32_t* u = nullptr;
  Lane* held = nullptr;
  int enter_shift = 0;
};

template <class Lane>
using LaneRun = std::int64_t (*)(const LaneCall<Lane>&);

template <class Lane>
struct LaneSteps {
  LaneRun<Lane> step[kLaneRoundings][kLaneLimits][2];  // the last index: whether steps are counted
  LaneRun<Lane> settle[kLaneRoundings][kLaneLimits];   // always counted, as `fresh`
  LaneRun<Lane> fresh[kLaneRoundings][kLaneLimits];
  // to <- (add ? to : 0) + a[i] * b[j] * 2^enter_shift
  void (*products)(const LaneCall<Lane>& call, bool add, Lane* to);
  // to <- (add ? to : 0) + from / 2^right * 2^left
  void (*align)(const Lane* from, std::int64_t count, int right, int left, bool add, Lane* to);
};

struct Runs;

struct Steps {
  const LaneSteps<std::int32_t>* lanes;
  const LaneSteps<std::int64_t>* wide_lanes;
  const FloatSteps<float>* floats = nullptr;  // none: no fused multiply-add
  const FloatSteps<double>* doubles = nullptr;
  const WordSteps* words = nullptr;  // none: no addition that saturates 32-bit lanes
  const Runs* runs = nullptr;        // none: no product of 16-bit words in 32-bit lanes
};

}  // namespace fxsim::isa
