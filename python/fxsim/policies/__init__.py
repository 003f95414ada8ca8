"""Rules that choose number formats while a network trains: `Observation` in, `Decision` out."""

from fxsim.policies.adapt.config import AdaPTConfig
from fxsim.policies.adapt.policy import AdaPT
from fxsim.policies.base import (
    ClipUpdate,
    Decision,
    GradientRule,
    GridUpdate,
    LayerObservation,
    LayerShape,
    LossRule,
    Observation,
    Policy,
    ShiftUpdate,
    Switch,
    TernaryRule,
    WordUpdate,
)
from fxsim.policies.binarynet import BinaryNet
from fxsim.policies.dorefa import DoReFa
from fxsim.policies.float32 import Float32
from fxsim.policies.sakr.policy import Sakr
from fxsim.policies.sq import SQ
from fxsim.policies.static import Static
from fxsim.policies.table import POLICIES, build
from fxsim.policies.terngrad import TernGrad
from fxsim.policies.wage import Wage

__all__ = [
    "POLICIES",
    "SQ",
    "AdaPT",
    "AdaPTConfig",
    "BinaryNet",
    "ClipUpdate",
    "Decision",
    "DoReFa",
    "Float32",
    "GradientRule",
    "GridUpdate",
    "LayerObservation",
    "LayerShape",
    "LossRule",
    "Observation",
    "Policy",
    "Sakr",
    "ShiftUpdate",
    "Static",
    "Switch",
    "TernGrad",
    "TernaryRule",
    "Wage",
    "WordUpdate",
    "build",
]
