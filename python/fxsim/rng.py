"""Counter-based random bits: a function of seed, stream, site, ordinal and element, and of nothing else.

Philox4x32-10 turns a 128-bit counter and a 64-bit key into 128 random bits. The mapping from an element to its bits is
part of fxsim's contract with its users: changing it breaks every recorded stochastic run.

Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fxsim.formats import checked_int

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_WORD = 0xFFFFFFFF
_WORD_BITS = 32
_OUTPUT_BITS = 128

SIDE_BY_SIDE = 16
"""Blocks that share neighbouring elements, so that vector code of up to 16 lanes needs no shuffles."""

BLOCK_LIMIT = 1 << 40
ORDINAL_LIMIT = 1 << 21
SITE_LIMIT = 1 << 3
LAYER_LIMIT = 1 << 16
CALL_LIMIT = 1 << 39
_EVALUATION = 1 << 39

SITE_OUTPUT = 0
SITE_STEP = 1
SITE_PRODUCT = 2
SITE_OUTER = 3
SITE_PRELOAD = 4


class Role(enum.IntEnum):
    """What a layer rounds: the middle field of a stream."""

    WEIGHT = 0
    BIAS = 1
    INPUT = 2
    OUTPUT = 3
    GRAD_OUTPUT = 4
    GRAD_WEIGHT = 5
    GRAD_INPUT = 6
    UPDATE = 7
    POLICY = 8
    GRAD_BIAS = 9
    BIAS_UPDATE = 10
    SECOND_INPUT = 11
    STATE = 12
    BIAS_STATE = 13
    SECOND_GRAD_OUTPUT = 14


@dataclass(frozen=True, slots=True)
class Key:
    """What a stochastic call draws from: a run's seed, and a stream that no two calls of the run share.

    Args:
        seed: 64 bits, unsigned.
        stream: 64 bits, unsigned; `stream()` packs one for a layer.

    Raises:
        TypeError: a field is not an int.
        ValueError: a field does not fit in 64 bits.
    """

    seed: int
    stream: int = 0

    def __post_init__(self) -> None:
        if type(self.seed) is type(self.stream) is int and not (self.seed | self.stream) >> 64:
            return  # as it nearly always is: a run makes a key for every tensor it rounds
        for name, value in (("seed", self.seed), ("stream", self.stream)):
            _check_below(f"Key: {name}", checked_int(f"Key: {name}", value), 1 << 64)
            object.__setattr__(self, name, int(value))


def stream(layer: int, role: Role, call: int, *, evaluation: bool = False) -> int:
    """The stream of one rounding call of a layer: `layer * 2**48 + role * 2**40 + call`.

    Args:
        layer: index of the module among fxsim's, below 2**16.
        role: what is rounded.
        call: below 2**39: the optimizer step for weights, biases, updates, optimizer states and policies, else the
            module's own count of training forwards.
        evaluation: marks inputs and outputs of evaluation forwards (bit 39); other roles have no evaluation stream,
            so that a weight is the same in training and in evaluation.

    Raises:
        ValueError: `layer` or `call` is out of range.
    """
    if not (0 <= layer < LAYER_LIMIT and 0 <= call < CALL_LIMIT):
        _check_below("stream: layer", layer, LAYER_LIMIT)
        _check_below("stream: call", call, CALL_LIMIT)
    marked = evaluation and role in (Role.INPUT, Role.SECOND_INPUT, Role.OUTPUT)
    return (layer << 48) + (role << 40) + call + (_EVALUATION if marked else 0)


def philox4x32(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """Philox4x32-10: four random words of 32 bits from a counter of four and a key of two, least significant first."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        product0, product1 = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (
            (product1 >> _WORD_BITS) ^ c1 ^ k0,
            product1 & _WORD,
            (product0 >> _WORD_BITS) ^ c3 ^ k1,
            product0 & _WORD,
        )
        k0, k1 = (k0 + _WEYL[0]) & _WORD, (k1 + _WEYL[1]) & _WORD
    return c0, c1, c2, c3


def random_bits(key: Key, index: int, bits: int, *, site: int = 0, ordinal: int = 0) -> int:
    """The uniform integer in [0, 2**bits) that belongs to one rounding of one element.

    Args:
        key: seed and stream.
        index: the element's index in the logical, global tensor.
        bits: 1 to 32.
        site: which rounding of the call: 0 output, 1 accumulator step, 2 product, 3 outer step, 4 preloaded bias.
        ordinal: the number of the step or product at that site, below 2**21.

    Raises:
        ValueError: an argument is out of range; an index is when its block exceeds 2**40 - 1.
    """
    fields = _fields(bits)
    group, place = divmod(index, SIDE_BY_SIDE * fields)
    block = SIDE_BY_SIDE * group + place % SIDE_BY_SIDE
    base = _base(site, ordinal)
    _check_index(index, block)
    seed_words = (key.seed & _WORD, key.seed >> _WORD_BITS)
    stream_words = (key.stream & _WORD, key.stream >> _WORD_BITS)
    counter = base + block
    words = philox4x32((counter & _WORD, counter >> _WORD_BITS, *stream_words), seed_words)
    output = sum(word << (_WORD_BITS * i) for i, word in enumerate(words))
    field_bits = _OUTPUT_BITS // fields
    field = (output >> (place // SIDE_BY_SIDE * field_bits)) & ((1 << field_bits) - 1)
    return field >> (field_bits - bits)


def uniform_bits(
    key: Key, count: int, bits: int, *, start: int = 0, site: int = 0, ordinal: int = 0
) -> npt.NDArray[np.uint32]:
    """`random_bits` of the elements start ... start + count - 1, as one uint32 array of shape (count,).

    Raises:
        ValueError: as in `random_bits`.
    """
    fields = _fields(bits)
    base = _base(site, ordinal)
    _check_below("uniform_bits: count", count, BLOCK_LIMIT * fields + 1)
    if count == 0:
        return np.empty(0, np.uint32)
    per_group = SIDE_BY_SIDE * fields
    first_group, last = start // per_group, start + count - 1
    groups = last // per_group - first_group + 1
    _check_index(start, SIDE_BY_SIDE * first_group)
    _check_index(last, SIDE_BY_SIDE * (last // per_group) + last % SIDE_BY_SIDE)
    counters = np.arange(groups * SIDE_BY_SIDE, dtype=np.uint64) + np.uint64(base + first_group * SIDE_BY_SIDE)
    words = _philox_blocks(counters, key)
    field_bits = _OUTPUT_BITS // fields
    per_word = _WORD_BITS // field_bits
    shifts = np.arange(per_word, dtype=np.uint32) * np.uint32(field_bits)
    drawn = (words[:, :, np.newaxis] >> shifts) & np.uint32((1 << field_bits) - 1)
    in_order = drawn.reshape(groups, SIDE_BY_SIDE, fields).transpose(0, 2, 1).reshape(-1)
    offset = start - first_group * per_group
    return in_order[offset : offset + count] >> np.uint32(field_bits - bits)


def _philox_blocks(counters: npt.NDArray[np.uint64], key: Key) -> npt.NDArray[np.uint32]:
    """Philox over many 64-bit counters of one key's stream: uint32 of shape (blocks, 4)."""
    word, shift = np.uint64(_WORD), np.uint64(_WORD_BITS)
    c0, c1 = counters & word, counters >> shift
    c2, c3 = np.full_like(c0, key.stream & _WORD), np.full_like(c0, key.stream >> _WORD_BITS)
    k0, k1 = key.seed & _WORD, key.seed >> _WORD_BITS
    for _ in range(_ROUNDS):
        product0, product1 = c0 * np.uint64(_MULTIPLIERS[0]), c2 * np.uint64(_MULTIPLIERS[1])
        c0, c1, c2, c3 = (
            (product1 >> shift) ^ c1 ^ np.uint64(k0),
            product1 & word,
            (product0 >> shift) ^ c3 ^ np.uint64(k1),
            product0 & word,
        )
        k0, k1 = (k0 + _WEYL[0]) & _WORD, (k1 + _WEYL[1]) & _WORD
    return np.stack((c0, c1, c2, c3), axis=1).astype(np.uint32)


def _fields(bits: int) -> int:
    """How many draws of that many bits one 128-bit output holds."""
    if not 1 <= bits <= _WORD_BITS:
        raise ValueError(f"random bits: bits = {bits}: accepted are 1 to {_WORD_BITS}")
    return 16 if bits <= 8 else 8 if bits <= 16 else 4


def _base(site: int, ordinal: int) -> int:
    """The part of the block counter that tells the roundings of one element apart."""
    _check_below("random bits: site", site, SITE_LIMIT)
    if not 0 <= ordinal < ORDINAL_LIMIT:
        raise ValueError(
            f"random bits: ordinal = {ordinal}: one output has stochastic roundings numbered 0 to {ORDINAL_LIMIT - 1}; "
            f"use a shorter dot product, more lanes, or another rounding"
        )
    return (ordinal << 40) + (site << 61)


def _check_index(index: int, block: int) -> None:
    if index < 0 or block >= BLOCK_LIMIT:
        raise ValueError(
            f"random bits: index = {index}: its block is outside 0 to {BLOCK_LIMIT - 1}; "
            f"split the tensor over several streams"
        )


def _check_below(name: str, value: int, limit: int) -> None:
    if not 0 <= value < limit:
        raise ValueError(f"{name} = {value}: accepted are 0 to {limit - 1}")
