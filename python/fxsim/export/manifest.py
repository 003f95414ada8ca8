"""The manifest of a folder of golden vectors: what each file is, and everything that decides its bits."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from fxsim.accumulator import Accumulator, Resolved, resolve
from fxsim.formats import Format
from fxsim.rounding import Quantizer

NAME: Final = "manifest.json"
KIND: Final = "fxsim golden vectors"
VERSION: Final = 1

LAYOUT: Final = (
    "A file holds one word a line in hexadecimal, two's complement at the word length of its format, rows of its shape "
    "one after another. a is (m, k), b (k, n), bias (n,), accumulated and output (m, n); output = round(accumulated + "
    "bias), or without the bias where the accumulator starts with it. A format <WL,FL> is a word of WL bits worth "
    "raw * 2**-FL, u<WL,FL> an unsigned one."
)

IMAGES: Final = (
    "Where a, or b transposed, is a convolution's image unfolded, a_image or b_image is the image: words (n, y, x, c). "
    "Rows of the matrix run through pixels (n, y, x), columns through taps (y, x, c), or (c, y, x) if channel_major; "
    "transposed: the other way round. The word of (pixel, tap) stands at p along y, and likewise along x, with p * div "
    "= pixel * pixel_mul + tap * tap_mul + offset; it is 0 unless p is an integer and 0 <= p < size."
)

RANDOM: Final = (
    "Stochastic roundings draw from Philox4x32-10 with `seed` and `stream`. Output (i, j) is element index_base + i * "
    "index_row_stride + j; site 0 is the output, 1 an accumulator step, 2 the product register, 3 a step of the outer "
    "accumulator, 4 a preloaded bias; the ordinal is the step's number (site 2: k), from 0."
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class WordFile:
    """A file of words. file: its name in the folder. sha256: of its bytes, in hexadecimal."""

    file: str
    format: Format
    shape: tuple[int, ...]
    sha256: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """Images that an operand was unfolded from, and how; see `IMAGES`. y, x: the five numbers of an axis, by name."""

    words: WordFile
    pixels: tuple[int, int, int]
    taps: tuple[int, int, int]
    y: Mapping[str, int]
    x: Mapping[str, int]
    channel_major: bool
    transposed: bool


AXIS: Final = ("pixel_mul", "tap_mul", "offset", "div", "size")
"""The names of the numbers of an axis, in their order elsewhere."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Random:
    """Where the random bits of a GEMM come from; see `RANDOM`."""

    seed: int
    stream: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """One GEMM: its files begin with `name`. The meaning of the rest is that of `fxsim.ops.gemms`.

    out: how sums are rounded; None: not at all, unless a bias was added.
    counts: macs, zero operands, overflows and draws, by name, of the dense GEMM.
    """

    name: str
    layer: str
    pass_: str
    op: str
    group: int
    groups: int
    m: int
    n: int
    k: int
    accumulator: Accumulator
    out: Quantizer | None
    random: Random | None
    index_base: int
    index_row_stride: int
    a: WordFile
    b: WordFile
    bias: WordFile | None
    accumulated: WordFile
    output: WordFile
    a_image: ImageFile | None
    b_image: ImageFile | None
    counts: Mapping[str, int]

    @property
    def files(self) -> tuple[WordFile, ...]:
        """All its files."""
        images = (None if each is None else each.words for each in (self.a_image, self.b_image))
        present = (self.a, self.b, self.bias, self.accumulated, self.output, *images)
        return tuple(each for each in present if each is not None)

    @property
    def registers(self) -> Resolved:
        """The accumulator with no default left."""
        bias = None if self.bias is None else self.bias.format
        return resolve(self.accumulator, self.a.format, self.b.format, self.k, bias=bias, out=self.out, op=self.op)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All vectors of a folder, in the order of execution.

    fxsim: the version that wrote them. source: where they come from, in the writer's words.
    left_out: products that ran and are not here, each with the reason.
    """

    fxsim: str
    source: str
    vectors: tuple[Vector, ...]
    left_out: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The text of manifest.json; `from_json` reads an equal manifest from it."""
        content = {
            "kind": KIND,
            "version": VERSION,
            "fxsim": self.fxsim,
            "source": self.source,
            "layout": LAYOUT,
            "images": IMAGES,
            "random_bits": RANDOM,
            "left_out": self.left_out,
            "vectors": [_plain(each) for each in self.vectors],
        }
        return json.dumps(content, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """The manifest that `to_json` wrote.

        Raises:
            ValueError: the text is not JSON, not of this kind, of another version, or a value is not accepted.
        """
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"{NAME}: not JSON: {error}") from None
        if not isinstance(content, dict) or content.get("kind") != KIND:
            raise ValueError(f"{NAME}: not a manifest of golden vectors: its kind is not {KIND!r}")
        if content.get("version") != VERSION:
            raise ValueError(f"{NAME}: version {content.get('version')} given; this fxsim reads version {VERSION}")
        try:
            return cls(
                fxsim=content["fxsim"],
                source=content["source"],
                vectors=tuple(map(_vector, content["vectors"])),
                left_out=tuple(content["left_out"]),
            )
        except KeyError as missing:
            raise ValueError(f"{NAME}: it lacks {missing}") from None


_FILES: Final = ("a", "b", "bias", "accumulated", "output")
_IMAGES: Final = ("a_image", "b_image")


def _plain(vector: Vector) -> dict[str, Any]:
    """A vector as JSON. "registers" spells out what "accumulator" leaves to defaults, and is not read back."""
    plain = {field.name: getattr(vector, field.name) for field in dataclasses.fields(Vector)}
    written = {
        **plain,
        "accumulator": str(vector.accumulator),
        "out": None if vector.out is None else _quantizer(vector.out),
        "random": None if vector.random is None else dataclasses.asdict(vector.random),
        "counts": dict(vector.counts),
        **{name: None if plain[name] is None else _word_file(plain[name]) for name in _FILES},
        **{name: None if plain[name] is None else _image_file(plain[name]) for name in _IMAGES},
        "registers": _registers(vector.registers),
    }
    return {name.rstrip("_"): value for name, value in written.items()}


def _word_file(file: WordFile) -> dict[str, Any]:
    return {"file": file.file, "format": str(file.format), "shape": file.shape, "sha256": file.sha256}


def _image_file(image: ImageFile) -> dict[str, Any]:
    plain = {field.name: getattr(image, field.name) for field in dataclasses.fields(ImageFile)}
    return {**plain, "words": _word_file(image.words), "y": dict(image.y), "x": dict(image.x)}


def _quantizer(quantizer: Quantizer) -> str:
    """With its modes, defaults too: a reader need not know ours."""
    return f"{quantizer.format},{quantizer.rounding},{quantizer.overflow}"


def _registers(resolved: Resolved) -> dict[str, Any]:
    plain = {field.name: getattr(resolved, field.name) for field in dataclasses.fields(Resolved)}
    texts = {name: _quantizer(value) for name, value in plain.items() if isinstance(value, Quantizer)}
    return {**plain, **texts, "result": str(resolved.result)}


def _vector(plain: Mapping[str, Any]) -> Vector:
    names = {field.name: field.name.rstrip("_") for field in dataclasses.fields(Vector)}
    values = {name: plain[written] for name, written in names.items()}
    files = {name: None if values[name] is None else _read_word_file(values[name]) for name in _FILES}
    return Vector(
        **{
            **values,
            **files,
            **{name: None if values[name] is None else _read_image_file(values[name]) for name in _IMAGES},
            "accumulator": Accumulator.parse(values["accumulator"]),
            "out": None if values["out"] is None else Quantizer.parse(values["out"]),
            "random": None if values["random"] is None else Random(**values["random"]),
        }
    )


def _read_word_file(plain: Mapping[str, Any]) -> WordFile:
    return WordFile(
        file=plain["file"],
        format=Format.parse(plain["format"]),
        shape=tuple(plain["shape"]),
        sha256=plain["sha256"],
    )


def _read_image_file(plain: Mapping[str, Any]) -> ImageFile:
    return ImageFile(
        words=_read_word_file(plain["words"]),
        pixels=tuple(plain["pixels"]),
        taps=tuple(plain["taps"]),
        y=plain["y"],
        x=plain["x"],
        channel_major=plain["channel_major"],
        transposed=plain["transposed"],
    )
