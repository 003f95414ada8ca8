"""A folder of golden vectors read back, and computed again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import torch

from fxsim.export import words
from fxsim.export.manifest import NAME, ImageFile, Manifest, Vector, WordFile
from fxsim.ops.gemms import Gemm, Image, run
from fxsim.ops.records import Pass
from fxsim.rng import Key
from fxsim.tensor import FixedTensor


def read(path: str | Path) -> Manifest:
    """The manifest of a folder that `vectors` wrote.

    Raises:
        FileNotFoundError: there is none, so nothing was exported there or the export did not come to its end.
        ValueError: it is not such a manifest.
    """
    file = Path(path) / NAME
    if not file.is_file():
        raise FileNotFoundError(f"{path} holds no {NAME}: no export of vectors came to its end there")
    return Manifest.from_json(file.read_text(encoding="utf-8"))


def tensor(path: str | Path, file: WordFile) -> FixedTensor:
    """The words of one file.

    Raises:
        FileNotFoundError: it is missing.
        ValueError: its content is not what the manifest says.
    """
    content = (Path(path) / file.file).read_bytes()
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise ValueError(f"{file.file}: its sha256 is not the manifest's; it was changed after it was written")
    raw = torch.from_numpy(words.from_hex(content, file.format, file.file))
    if raw.numel() != torch.Size(file.shape).numel():
        raise ValueError(f"{file.file}: {raw.numel()} words, and the manifest says shape {file.shape}")
    return FixedTensor._trusted(raw.to(file.format.dtype).reshape(file.shape), file.format)


def image(path: str | Path, file: ImageFile) -> Image:
    """Images and how they were unfolded.

    Raises:
        FileNotFoundError, ValueError: as `tensor`.
    """
    y, x = (
        (each["pixel_mul"], each["tap_mul"], each["offset"], each["div"], each["size"]) for each in (file.y, file.x)
    )
    return Image(
        words=tensor(path, file.words),
        pixels=file.pixels,
        taps=file.taps,
        y=y,
        x=x,
        channel_major=file.channel_major,
        transposed=file.transposed,
    )


def gemm(path: str | Path, vector: Vector) -> Gemm:
    """The GEMM of a vector, operands read from its files.

    Raises:
        FileNotFoundError, ValueError: as `tensor`.
    """
    return Gemm(
        layer=vector.layer,
        pass_=Pass(vector.pass_),
        op=vector.op,
        group=vector.group,
        groups=vector.groups,
        a=tensor(path, vector.a),
        b=tensor(path, vector.b),
        bias=None if vector.bias is None else tensor(path, vector.bias),
        a_image=None if vector.a_image is None else image(path, vector.a_image),
        b_image=None if vector.b_image is None else image(path, vector.b_image),
        accumulator=vector.accumulator,
        out=vector.out,
        key=None if vector.random is None else Key(vector.random.seed, vector.random.stream),
        index_base=vector.index_base,
        index_row_stride=vector.index_row_stride,
    )


def verify(path: str | Path) -> Manifest:
    """Compute every vector of a folder again, on the kernels in use, and compare every word and every count.

    Images are unfolded again, too.

    Returns:
        The manifest.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is damaged, or something differs: the text names the vectors and the first difference.
    """
    manifest = read(path)
    found = [each for vector in manifest.vectors for each in _differences(path, vector)]
    if found:
        raise ValueError(f"{path}: {len(found)} differences:\n" + "\n".join(found))
    return manifest


def _differences(path: str | Path, vector: Vector) -> Iterator[str]:
    given = gemm(path, vector)
    for name, operand, source in (("a", given.a, given.a_image), ("b", given.b.permute(1, 0), given.b_image)):
        if source is not None and source.matrix() != operand:
            yield f"{vector.name}: {name} is not {name}_image unfolded"
    outcome = run(given)
    for role in ("accumulated", "output"):
        written, computed = tensor(path, getattr(vector, role)), getattr(outcome, role)
        if written.format != computed.format:
            yield f"{vector.name}: {role} has format {written.format}, computed {computed.format}"
        elif written != computed:
            i, j = (written.raw != computed.raw).nonzero()[0].tolist()
            yield (f"{vector.name}: {role} ({i}, {j}) is {int(written.raw[i, j])}, computed {int(computed.raw[i, j])}")
    for name, count in vector.counts.items():
        if count != getattr(outcome.counts, name):
            yield f"{vector.name}: {name} is {count}, computed {getattr(outcome.counts, name)}"
