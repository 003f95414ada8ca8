"""All kinds of engines by the name that files use: the one place where a new one is entered."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from fxsim.cost.accelerators.array import SystolicArray
from fxsim.cost.accelerators.bitserial import BitSerial
from fxsim.cost.accelerators.engine import Engine
from fxsim.cost.accelerators.fusion import BitFusion
from fxsim.cost.accelerators.valueserial import DynamicStripes, Pragmatic
from fxsim.cost.accelerators.zero_skipping import Skipping

ENGINES: Final[Mapping[str, type[Engine]]] = MappingProxyType(
    {engine.kind: engine for engine in (SystolicArray, BitFusion, BitSerial, DynamicStripes, Pragmatic, Skipping)}
)
