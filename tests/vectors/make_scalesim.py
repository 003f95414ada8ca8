"""Writes scalesim.csv: what SCALE-Sim 3.0.0 says about the layers of fxsim's models.

    python -m venv scalesim-env
    scalesim-env/bin/pip install scalesim==3.0.0 numpy==1.26.4
    python tests/vectors/make_scalesim.py scalesim-env/bin/python

The simulator needs a numpy of its own, so it runs in its own environment; this script runs where fxsim does. It takes
half an hour. A layer shape that a model has several times is simulated once.
"""

from __future__ import annotations

import csv
import itertools
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from fxsim.models import MODELS

MODELS_AND_CHANNELS = (("lenet5", 1), ("resnet20", 3), ("alexnet", 3))
DATAFLOWS = ("os", "ws", "is")
ARRAYS = ((8, 8), (16, 16), (32, 32), (8, 32), (32, 8))
COLUMNS = (
    "model layer dataflow rows columns m n k total_cycles stall_cycles mapping_efficiency_percent "
    "ifmap_reads filter_reads ofmap_writes"
).split()

_RUN = """
import sys
from scalesim.scale_sim import scalesim
config, topology, layout, out = sys.argv[1:]
scalesim(save_disk_space=True, verbose=False, config=config, topology=topology, layout=layout).run_scale(top_path=out)
"""

# Buffers that hold every operand, so that Total Cycles has no stalls in it; words of one byte.
_CONFIG = """[general]
run_name = run
[architecture_presets]
ArrayHeight = {rows}
ArrayWidth = {columns}
IfmapSramSzkB = 65536
FilterSramSzkB = 65536
OfmapSramSzkB = 65536
IfmapOffset = 0
FilterOffset = 100000000
OfmapOffset = 200000000
Dataflow = {dataflow}
ReadRequestBuffer = 32
WriteRequestBuffer = 32
[layout]
IfmapCustomLayout = False
FilterCustomLayout = False
IfmapSRAMBankBandwidth = 10
IfmapSRAMBankNum = 10
IfmapSRAMBankPort = 2
FilterSRAMBankBandwidth = 10
FilterSRAMBankNum = 10
FilterSRAMBankPort = 2
[sparsity]
SparsitySupport = false
[run_presets]
InterfaceBandwidth = CALC
UseRamulatorTrace = False
"""


@dataclass(frozen=True)
class Layer:
    """A convolution without padding, as SCALE-Sim takes it; a linear layer is one of 1x1."""

    height: int
    width: int
    kernel_h: int
    kernel_w: int
    c_in: int
    c_out: int
    stride: int

    @property
    def gemm(self) -> tuple[int, int, int]:
        """(M, N, K) of one image."""
        pixels = [
            (size - kernel) // self.stride + 1
            for size, kernel in ((self.height, self.kernel_h), (self.width, self.kernel_w))
        ]
        return pixels[0] * pixels[1], self.c_out, self.c_in * self.kernel_h * self.kernel_w


def layer(module: nn.Module, y: Tensor) -> Layer:
    """What a module computes, its padded input cut down to what the kernel reaches."""
    if isinstance(module, nn.Conv2d):
        (kernel_h, kernel_w), stride = module.kernel_size, module.stride[0]
        height, width = (y.shape[2] - 1) * stride + kernel_h, (y.shape[3] - 1) * stride + kernel_w
        return Layer(height, width, kernel_h, kernel_w, module.in_channels, module.out_channels, stride)
    assert isinstance(module, nn.Linear)
    return Layer(1, 1, 1, 1, module.in_features, module.out_features, 1)


def layers(model: str, channels: int) -> dict[Layer, str]:
    """The different layers of a model, each with the name of the first such module."""
    with torch.device("meta"):
        net = MODELS[model](10, channels)
    found: dict[Layer, str] = {}
    for name, module in net.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(
                lambda module, _, y, name=name: found.setdefault(layer(module, y), name) and None
            )
    with torch.no_grad():
        net.eval()(torch.empty(1, channels, 32, 32, device="meta"))
    return found


def report(path: Path) -> Iterator[dict[str, str]]:
    """The lines of one of SCALE-Sim's tables, by column."""
    with path.open(newline="") as file:
        yield from csv.DictReader(file, skipinitialspace=True)


def simulate(python: str, shapes: list[Layer], dataflow: str, rows: int, columns: int) -> Iterator[list[str]]:
    """Total and stall cycles, mapping efficiency in percent, ifmap and filter reads, ofmap writes of each layer."""
    with tempfile.TemporaryDirectory() as folder:
        config, topology, layout = (Path(folder) / name for name in ("run.cfg", "net.csv", "layout.csv"))
        config.write_text(_CONFIG.format(rows=rows, columns=columns, dataflow=dataflow))
        lines = [f"L{i}, {', '.join(map(str, astuple(shape)))},\n" for i, shape in enumerate(shapes)]
        topology.write_text("name, ih, iw, kh, kw, channels, filters, stride,\n" + "".join(lines))
        layout.write_text("unused\n" + "".join(f"L{i}, {'1, ' * 20}\n" for i in range(len(shapes))))
        files = map(str, (config, topology, layout, folder))
        subprocess.run([python, "-c", _RUN, *files], check=True, capture_output=True)
        tables = (report(Path(folder) / "run" / f"{name}_REPORT.csv") for name in ("COMPUTE", "DETAILED_ACCESS"))
        for compute, access in zip(*tables, strict=True):
            yield [
                compute["Total Cycles"],
                compute["Stall Cycles"],
                compute["Mapping Efficiency %"],
                access["SRAM IFMAP Reads"],
                access["SRAM Filter Reads"],
                access["SRAM OFMAP Writes"],
            ]


def main(python: str) -> None:
    """Simulates everything and writes the table next to this file, line by line."""
    with Path(__file__).with_name("scalesim.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for (model, channels), (rows, columns), dataflow in itertools.product(MODELS_AND_CHANNELS, ARRAYS, DATAFLOWS):
            shapes = layers(model, channels)
            for (shape, name), figures in zip(
                shapes.items(), simulate(python, list(shapes), dataflow, rows, columns), strict=True
            ):
                table.writerow([model, name, dataflow, rows, columns, *shape.gemm, *figures])
            file.flush()


if __name__ == "__main__":
    main(sys.argv[1])
