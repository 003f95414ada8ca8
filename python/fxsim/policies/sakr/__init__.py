"""Sakr and Shanbhag's per-tensor precision assignment, and fixed-point training under it."""

from fxsim.policies.sakr.assign import LayerMeasurement, assign
from fxsim.policies.sakr.assignment import Assignment, LayerAssignment
from fxsim.policies.sakr.costs import Costs, LayerBits, LayerSize, costs
from fxsim.policies.sakr.policy import Sakr

__all__ = [
    "Assignment",
    "Costs",
    "LayerAssignment",
    "LayerBits",
    "LayerMeasurement",
    "LayerSize",
    "Sakr",
    "assign",
    "costs",
]
