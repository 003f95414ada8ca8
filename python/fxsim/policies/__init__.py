"""Rules that choose number formats while a network trains: `Observation` in, `Decision` out."""

from fxsim.policies.adapt.config import AdaPTConfig
from fxsim.policies.adapt.policy import AdaPT
from fxsim.policies.base import (
    BlockGradientRule,
    ClipUpdate,
    Decision,
    Gating,
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
from fxsim.policies.cpt.policy import CPT, CPTConfig
from fxsim.policies.dorefa import DoReFa
from fxsim.policies.flexpoint import Flexpoint
from fxsim.policies.float32 import Float32
from fxsim.policies.fractrain.dfq import DFQ, DFQConfig, FracTrain, FracTrainConfig
from fxsim.policies.fractrain.pfq import PFQ, PFQConfig
from fxsim.policies.muppet.policy import MuPPET, MuPPETConfig
from fxsim.policies.sakr.policy import Sakr
from fxsim.policies.sbm import SBM, SBMConfig
from fxsim.policies.sq import SQ
from fxsim.policies.static import Static
from fxsim.policies.table import POLICIES, build
from fxsim.policies.terngrad import TernGrad
from fxsim.policies.wage import Wage

__all__ = [
    "CPT",
    "DFQ",
    "PFQ",
    "POLICIES",
    "SBM",
    "SQ",
    "AdaPT",
    "AdaPTConfig",
    "BinaryNet",
    "BlockGradientRule",
    "CPTConfig",
    "ClipUpdate",
    "DFQConfig",
    "Decision",
    "DoReFa",
    "Flexpoint",
    "Float32",
    "FracTrain",
    "FracTrainConfig",
    "Gating",
    "GradientRule",
    "GridUpdate",
    "LayerObservation",
    "LayerShape",
    "LossRule",
    "MuPPET",
    "MuPPETConfig",
    "Observation",
    "PFQConfig",
    "Policy",
    "SBMConfig",
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
