"""All presets by name: the one place where a new one is entered."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, final

from fxsim.cost.accelerators import presets
from fxsim.cost.accelerators.accelerator import Accelerator


@final
@dataclass(frozen=True, slots=True)
class Preset:
    """A named accelerator. build: from options by name; summary: one line; level: of counting that it needs."""

    build: Callable[..., Accelerator]
    summary: str
    level: int = 0

    @property
    def options(self) -> Mapping[str, Any]:
        """The options that `build` takes, with their defaults."""
        return {name: option.default for name, option in inspect.signature(self.build).parameters.items()}


PRESETS: Final[Mapping[str, Preset]] = MappingProxyType(
    {
        "systolic": Preset(presets.systolic, "a systolic array, to the cycle as our Verilog"),
        "scalesim": Preset(presets.scalesim, "a systolic array as SCALE-Sim 3.0.0 counts it"),
        "fixed_mac": Preset(presets.fixed_mac, "a systolic array of one word length, AdaPT's float32 baseline"),
        "bitfusion": Preset(presets.bitfusion, "2-bit multipliers joined to the operands' widths"),
        "stripes": Preset(presets.stripes, "activations bit by bit"),
        "dynamic_stripes": Preset(presets.dynamic_stripes, "activations bit by bit, as far as their values go", 2),
        "pragmatic": Preset(presets.pragmatic, "only the set bits of activations", 2),
        "loom": Preset(presets.loom, "activations and weights bit by bit"),
        "unpu": Preset(presets.unpu, "weights bit by bit"),
        "skipping": Preset(presets.skipping, "zeros are skipped in lock step", 1),
    }
)


def build(name: str, **options: Any) -> Accelerator:
    """The preset of this name, with these options and the defaults of the others.

    Raises:
        ValueError: there is no such preset, or it has no such option.
    """
    if name not in PRESETS:
        raise ValueError(f"accelerators.build: {name!r} is not a preset; accepted: {', '.join(PRESETS)}")
    preset = PRESETS[name]
    unknown = [option for option in options if option not in preset.options]
    if unknown:
        accepted = ", ".join(preset.options) or "none"
        raise ValueError(f"accelerators.build: {name} has no option {', '.join(unknown)}; accepted: {accepted}")
    return preset.build(**options)
