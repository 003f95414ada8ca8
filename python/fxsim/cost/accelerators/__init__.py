"""Machines that do GEMMs, described by records, and what work costs on them."""

from fxsim.cost.accelerators.accelerator import Accelerator
from fxsim.cost.accelerators.array import FixedMac, SystolicArray
from fxsim.cost.accelerators.bitserial import BitSerial
from fxsim.cost.accelerators.energy import EnergyTable, energy_table
from fxsim.cost.accelerators.fusion import BitFusion
from fxsim.cost.accelerators.memory import Memory
from fxsim.cost.accelerators.presets import (
    bitfusion,
    dynamic_stripes,
    fixed_mac,
    loom,
    pragmatic,
    scalesim,
    skipping,
    stripes,
    systolic,
    unpu,
)
from fxsim.cost.accelerators.table import PRESETS, build
from fxsim.cost.accelerators.valueserial import DynamicStripes, Pragmatic
from fxsim.cost.accelerators.zero_skipping import Skipping

__all__ = [
    "PRESETS",
    "Accelerator",
    "BitFusion",
    "BitSerial",
    "DynamicStripes",
    "EnergyTable",
    "FixedMac",
    "Memory",
    "Pragmatic",
    "Skipping",
    "SystolicArray",
    "bitfusion",
    "build",
    "dynamic_stripes",
    "energy_table",
    "fixed_mac",
    "loom",
    "pragmatic",
    "scalesim",
    "skipping",
    "stripes",
    "systolic",
    "unpu",
]
