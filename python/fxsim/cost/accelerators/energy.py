"""What an addition, a product and a bit from memory take, from a table with a source for every number."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Final, final

import numpy as np

from fxsim.cost.accelerators.engine import Multiplications
from fxsim.cost.columns import Ints, Reals
from fxsim.cost.work import Work

DEFAULT_TABLE: Final = "horowitz45"

_FLOAT_BITS: Final = (16, 32)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyTable:
    """Energies of one process, with fits that extend them to any word length.

    name, process: of the table; reports show the name.
    add: pJ a bit of an integer addition.
    mul_square, mul_linear: an integer product of a by b bits takes mul_square * a * b + mul_linear * (a + b) / 2 pJ.
    fp16_add, fp16_mul, fp32_add, fp32_mul: pJ of float operations.
    sram_cubic, sram_square, sram_linear: pJ a bit of a memory of 2^x bits, as a polynomial in x, for sizes from
        sram_smallest_bits to sram_largest_bits; smaller ones take sram_small, larger ones are banks of the largest.
    dram: pJ a bit of main memory.
    sources: where each number is from, as (name, text).

    Source: Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014, with the fits of QKeras.
    """

    name: str
    process: str
    add: float
    mul_square: float
    mul_linear: float
    fp16_add: float
    fp16_mul: float
    fp32_add: float
    fp32_mul: float
    sram_cubic: float
    sram_square: float
    sram_linear: float
    sram_small: float
    sram_smallest_bits: int
    sram_largest_bits: int
    dram: float
    sources: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            given = getattr(self, field.name)
            if field.type == "float" and (isinstance(given, bool) or not isinstance(given, int | float)):
                raise TypeError(f"EnergyTable: {field.name} = {given!r}: a number is needed")

    def add_pj(self, bits: Ints) -> Reals:
        """pJ of an integer addition of so many bits."""
        return np.asarray(self.add * bits, np.float64)

    def mul_pj(self, a_bits: Ints, b_bits: Ints) -> Reals:
        """pJ of an integer product."""
        return np.asarray(self.mul_square * (a_bits * b_bits) + self.mul_linear * (a_bits + b_bits) / 2, np.float64)

    def sram_pj_per_bit(self, size_bits: int) -> float:
        """pJ for each bit that a memory of this size gives or takes."""
        if size_bits < self.sram_smallest_bits:
            return self.sram_small
        x = float(np.log2(min(size_bits, self.sram_largest_bits)))
        return ((self.sram_cubic * x + self.sram_square) * x + self.sram_linear) * x

    def mac_pj(self, work: Work, done: Multiplications) -> Reals:
        """pJ of all multiply-accumulates of each row; float products of 16 or 32 bits, whichever operand is a float.

        Raises:
            ValueError: floats of another width, for which the table has no number.
        """
        fixed = done.count * (self.mul_pj(done.a_bits, done.b_bits) + self.add_pj(work.acc_bits))
        float_bits = np.maximum(np.where(work.a_float, work.a_bits, 0), np.where(work.b_float, work.b_bits, 0))
        unknown = ~np.isin(float_bits, (0, *_FLOAT_BITS))
        if unknown.any():
            row = int(np.argmax(unknown))
            raise ValueError(
                f"energy table {self.name!r}: row {row} has floats of {float_bits[row]} bits, "
                f"it knows 16 and 32; leave such rows out, or price them as fp32"
            )
        half = work.macs * (self.fp16_mul + self.fp16_add)
        single = work.macs * (self.fp32_mul + self.fp32_add)
        return np.select([float_bits == 0, float_bits == 16], [fixed, half], single)

    def to_dict(self) -> dict[str, Any]:
        """The table as TOML takes it."""
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**plain, "sources": dict(self.sources)}

    @staticmethod
    def from_dict(content: dict[str, Any]) -> EnergyTable:
        """The table that `to_dict` wrote.

        Raises:
            ValueError: a number is missing, or one is unknown.
        """
        known = {field.name for field in dataclasses.fields(EnergyTable)}
        missing, unknown = sorted(known - {"sources"} - content.keys()), sorted(content.keys() - known)
        if missing or unknown:
            what = f"{', '.join(missing)}: missing" if missing else f"{', '.join(unknown)}: no such number"
            raise ValueError(f"energy table: {what}; a table has {', '.join(sorted(known))}")
        return EnergyTable(**{**content, "sources": tuple(content.get("sources", {}).items())})


@lru_cache(maxsize=1)
def _tables() -> dict[str, EnergyTable]:
    text = resources.files("fxsim.cost.accelerators").joinpath("energy.toml").read_text("utf-8")
    return {name: EnergyTable.from_dict(content) for name, content in tomllib.loads(text).items()}


def energy_table(name: str = DEFAULT_TABLE) -> EnergyTable:
    """A table that comes with fxsim.

    Raises:
        ValueError: there is none of this name.
    """
    tables = _tables()
    if name not in tables:
        raise ValueError(f"energy_table: {name!r} is not a table; accepted: {', '.join(tables)}")
    return tables[name]
