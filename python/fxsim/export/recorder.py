"""`fx.export.vectors`: everything executed inside a block, as golden vectors."""

from __future__ import annotations

import fnmatch
import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, final

from fxsim.cost.watch import Watch
from fxsim.cost.widths import FLOAT_BITS
from fxsim.export import manifest, words
from fxsim.export.manifest import AXIS, ImageFile, Manifest, Random, Vector, WordFile
from fxsim.ops import executions, records
from fxsim.ops.executions import Execution
from fxsim.ops.gemms import Gemm, Image, gemms, run
from fxsim.ops.records import OpRecord, Pass
from fxsim.tensor import FixedTensor
from fxsim.train.environment import fxsim_version

PASSES: Final = (str(Pass.FWD), str(Pass.DGRAD), str(Pass.WGRAD))
"""The passes that multiply."""

_COUNTED: Final = (
    "macs",
    "zero_a_macs",
    "zero_b_macs",
    "zero_macs",
    "product_overflows",
    "step_overflows",
    "outer_overflows",
    "preload_overflows",
    "output_overflows",
    "random_draws",
)


_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.-]")


@contextmanager
def vectors(
    path: str | Path, *, layers: str | Sequence[str] = "*", passes: Sequence[str] = PASSES, source: str = ""
) -> Iterator[list[Vector]]:
    """Write every integer GEMM executed inside the block to a folder, as files that Verilog's `$readmemh` takes.

    Operands, accumulators and outputs of products of matrices, linear layers, convolutions and their gradients; a
    convolution is written as the GEMM that it is, structural zeros as words 0, with its image beside it. The folder's
    manifest.json says what each file is; it is written last, so that a folder without one is known to be incomplete.

    Args:
        path: the folder, new or empty.
        layers: names, or patterns such as "conv*", of the layers wanted; products outside any layer match "*" only.
        passes: of "fwd", "dgrad" and "wgrad", those wanted.
        source: what the manifest says of the vectors' origin.

    Yields:
        The vectors written so far, a list that grows.

    Raises:
        FileExistsError: the folder is not empty.
        ValueError: a pass has no such name; or, at the end of the block, nothing was written.
        OverflowError: a sum that an exact accumulator holds does not fit 64 bits.

    Example:
        with fx.export.vectors("vectors", layers="conv1"):
            model(x)
    """
    wanted = (layers,) if isinstance(layers, str) else tuple(layers)
    unknown = [each for each in passes if each not in PASSES]
    if unknown:
        raise ValueError(f"export.vectors: passes has {', '.join(unknown)}: accepted are {', '.join(PASSES)}")
    folder = Path(path)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} exists and is not empty; name another folder, or remove it")
    recorder = _Recorder(folder, wanted, frozenset(passes))
    watch = Watch(recorder.note, {}, look_for_zeros=False)
    with executions.listen(recorder.take), records.listen(recorder.note), watch:
        yield recorder.written
    recorder.finish(source)


@final
class _Recorder:
    """Writes vectors as they come. seen: (layer, pass) of every product executed, wanted or not."""

    def __init__(self, folder: Path, layers: tuple[str, ...], passes: frozenset[str]) -> None:
        self._folder: Final = folder
        self._layers: Final = layers
        self._passes: Final = passes
        self._left_out: Final[dict[str, None]] = {}
        self._seen: Final[dict[str, None]] = {}
        self._taken: Final[set[tuple[str, str, str]]] = set()
        self.written: Final[list[Vector]] = []

    def take(self, execution: Execution) -> None:
        site = execution.site
        self._taken.add((site.layer, site.pass_, site.op))
        if self._wants(site.layer, site.pass_):
            for gemm in gemms(execution):
                self.written.append(self._write(gemm))

    def note(self, record: OpRecord) -> None:
        """Remember what ran, and what cannot be written: records come right after their execution, if there is one."""
        if not record.macs and record.op != "bias_grad":
            return
        layer = record.layer or "(no layer)"
        self._seen[f"{layer} {record.pass_}"] = None
        taken = (record.layer, record.pass_, record.op) in self._taken
        if not taken and self._wants(record.layer, record.pass_):
            reason = "computed in floating point" if record.a in FLOAT_BITS else "a sum without products"
            self._left_out[f"{layer} {record.pass_} {record.op}: {reason}"] = None

    def _wants(self, layer: str, pass_: str) -> bool:
        chosen = pass_ in self._passes or pass_ == Pass.OTHER  # torch does not tell dgrad from wgrad
        return chosen and any(fnmatch.fnmatchcase(layer, pattern) for pattern in self._layers)

    def finish(self, source: str) -> None:
        if not self.written:
            ran = ", ".join(self._seen) or "none at all"
            why = f"; left out: {'; '.join(self._left_out)}" if self._left_out else ""
            raise ValueError(
                f"export.vectors: no integer product of layers {', '.join(self._layers)} and passes "
                f"{', '.join(sorted(self._passes))} was executed in the block; products executed: {ran}{why}"
            )
        text = Manifest(
            fxsim=fxsim_version(), source=source, vectors=tuple(self.written), left_out=tuple(self._left_out)
        ).to_json()
        (self._folder / manifest.NAME).write_text(text, encoding="utf-8")

    def _write(self, gemm: Gemm) -> Vector:
        outcome = run(gemm)
        where = "-".join(each for each in (gemm.layer, gemm.pass_) if each)
        group = f"-g{gemm.group}" if gemm.groups > 1 else ""
        name = f"{len(self.written):04d}-{_UNSAFE.sub('_', where)}{group}"
        bias = None if gemm.bias is None else self._file(name, "bias", gemm.bias)
        return Vector(
            name=name,
            layer=gemm.layer,
            pass_=gemm.pass_,
            op=gemm.op,
            group=gemm.group,
            groups=gemm.groups,
            m=gemm.a.shape[0],
            n=gemm.b.shape[1],
            k=gemm.a.shape[1],
            accumulator=gemm.accumulator,
            out=gemm.out,
            random=None if gemm.key is None else Random(seed=gemm.key.seed, stream=gemm.key.stream),
            index_base=gemm.index_base,
            index_row_stride=gemm.index_row_stride,
            a=self._file(name, "a", gemm.a),
            b=self._file(name, "b", gemm.b),
            bias=bias,
            accumulated=self._file(name, "accumulated", outcome.accumulated),
            output=self._file(name, "output", outcome.output),
            a_image=self._image(name, "a_image", gemm.a_image),
            b_image=self._image(name, "b_image", gemm.b_image),
            counts={each: getattr(outcome.counts, each) for each in _COUNTED},
        )

    def _image(self, name: str, role: str, image: Image | None) -> ImageFile | None:
        if image is None:
            return None
        return ImageFile(
            words=self._file(name, role, image.words),
            pixels=image.pixels,
            taps=image.taps,
            y=dict(zip(AXIS, image.y, strict=True)),
            x=dict(zip(AXIS, image.x, strict=True)),
            channel_major=image.channel_major,
            transposed=image.transposed,
        )

    def _file(self, name: str, role: str, tensor: FixedTensor) -> WordFile:
        content = words.to_hex(tensor.raw.numpy(), tensor.format)
        file = f"{name}.{role}.hex"
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / file).write_bytes(content)
        return WordFile(
            file=file,
            format=tensor.format,
            shape=tuple(tensor.shape),
            sha256=hashlib.sha256(content).hexdigest(),
        )
