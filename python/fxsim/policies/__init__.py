"""Rules that choose number formats while a network trains: `Observation` in, `Decision` out."""

from fxsim.policies.adapt.config import AdaPTConfig
from fxsim.policies.adapt.policy import AdaPT
from fxsim.policies.base import (
    Decision,
    GradientRule,
    LayerObservation,
    LayerShape,
    LossRule,
    Observation,
    Policy,
    Switch,
)
from fxsim.policies.float32 import Float32
from fxsim.policies.static import Static
from fxsim.policies.table import POLICIES, build

__all__ = [
    "POLICIES",
    "AdaPT",
    "AdaPTConfig",
    "Decision",
    "Float32",
    "GradientRule",
    "LayerObservation",
    "LayerShape",
    "LossRule",
    "Observation",
    "Policy",
    "Static",
    "Switch",
    "build",
]
