"""All policies by name: the one place where a new one is entered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, final

from fxsim.policies.adapt.config import AdaPTConfig
from fxsim.policies.adapt.policy import AdaPT
from fxsim.policies.base import Policy
from fxsim.policies.binarynet import BinaryNet
from fxsim.policies.cpt.policy import CPT, CPTConfig
from fxsim.policies.dorefa import DoReFa
from fxsim.policies.flexpoint import Flexpoint
from fxsim.policies.float32 import Float32
from fxsim.policies.fractrain.dfq import DFQ, DFQConfig, FracTrain, FracTrainConfig
from fxsim.policies.fractrain.pfq import PFQ, PFQConfig
from fxsim.policies.muppet.policy import MuPPET, MuPPETConfig
from fxsim.policies.options import to_options
from fxsim.policies.sakr.policy import Sakr
from fxsim.policies.sbm import SBM, SBMConfig
from fxsim.policies.sq import SQ
from fxsim.policies.static import Static
from fxsim.policies.terngrad import TernGrad
from fxsim.policies.wage import Wage


@final
@dataclass(frozen=True, slots=True)
class Row:
    """One policy. build: from options by name; options: the names it takes, with their defaults."""

    policy: type[Policy]
    summary: str
    source: str
    options: Mapping[str, Any]
    build: Callable[[Mapping[str, Any]], Policy]


STATIC_FORMAT: Final = "<16,12>"
"""Static's format where none is given: a range of [-8, 8) for inputs of unit variance."""

POLICIES: Final[Mapping[str, Row]] = MappingProxyType(
    {
        "float32": Row(
            policy=Float32,
            summary="plain floating point, the baseline",
            source="none: torch's own arithmetic",
            options={},
            build=lambda _: Float32(),
        ),
        "static": Row(
            policy=Static,
            summary="one fixed-point arithmetic for the whole run",
            source="none: a Numerics of the user's choice",
            options={"numerics": STATIC_FORMAT},
            build=lambda options: Static(options["numerics"]),
        ),
        "adapt": Row(
            policy=AdaPT,
            summary="word lengths per layer that follow gradient diversity and information loss",
            source="Kummer, Sidak, Reichmann, Gansterer 2021, Adaptive Precision Training (AdaPT)",
            options=AdaPTConfig().to_options(),
            build=lambda options: AdaPT(AdaPTConfig.from_options(options)),
        ),
        "sakr": Row(
            policy=Sakr,
            summary="a precision for every tensor, assigned from noise gains and gradient statistics",
            source="Sakr and Shanbhag 2019, Per-Tensor Fixed-Point Quantization of the Back-Propagation Algorithm",
            options={
                "assignment": "",
                "offset": 0,
                "target": 0.01,
                "images": 200,
                "probe_steps": 0,
                "range_norm": False,
            },
            build=Sakr.from_options,
        ),
        "binarynet": Row(
            policy=BinaryNet,
            summary="signs for weights and activations, float gradients",
            source="Hubara, Courbariaux, Soudry, El-Yaniv, Bengio 2016, Binarized Neural Networks",
            options={},
            build=lambda _: BinaryNet(),
        ),
        "sq": Row(
            policy=SQ,
            summary="16-bit words and stochastic rounding throughout",
            source="Gupta, Agrawal, Gopalakrishnan, Narayanan 2015, Deep Learning with Limited Numerical Precision",
            options={
                "weight": "<16,14>",
                "activation": "<16,10>",
                "gradient": "<16,14>",
                "rounding": "stochastic",
            },
            build=lambda options: SQ(**options),
        ),
        "terngrad": Row(
            policy=TernGrad,
            summary="ternary weight gradients, floating point otherwise",
            source="Wen, Xu, Yan, Wu, Wang, Chen, Li 2017, TernGrad",
            options={"clip": 2.5, "stochastic": True, "least_elements": 0, "except_last": False},
            build=lambda options: TernGrad(**options),
        ),
        "dorefa": Row(
            policy=DoReFa,
            summary="1-bit weights, 2-bit activations, 6-bit gradients",
            source="Zhou, Wu, Ni, Zhou, Wen, Zou 2016, DoReFa-Net",
            options={"weight_bits": 1, "activation_bits": 2},
            build=lambda options: DoReFa(**options),
        ),
        "flexpoint": Row(
            policy=Flexpoint,
            summary="an approximation of flex16+5: 16-bit mantissas, exponents that fit",
            source="Koster et al. 2017, Flexpoint; approximated",
            options={},
            build=lambda _: Flexpoint(),
        ),
        "wage": Row(
            policy=Wage,
            summary="2-bit weights and 8-bit everything else, integers only",
            source="Wu, Li, Chen, Shi 2018, Training and Inference with Integers in Deep Neural Networks",
            options={},
            build=lambda _: Wage(),
        ),
        "muppet": Row(
            policy=MuPPET,
            summary="block floating point that widens when gradients stop diversifying",
            source="Rajagopal, Vink, Venieris, Bouganis 2020, Multi-precision policy enforced training (MuPPET)",
            options=to_options(MuPPETConfig()),
            build=lambda options: MuPPET(MuPPETConfig(**options)),
        ),
        "cpt": Row(
            policy=CPT,
            summary="precision that cycles between two bounds",
            source="Fu, Guo, Li, Yu, Ding, Lin 2021, CPT: Efficient training via cyclic precision",
            options=to_options(CPTConfig()),
            build=lambda options: CPT(CPTConfig(**options)),
        ),
        "pfq": Row(
            policy=PFQ,
            summary="precision that rises in stages as the loss settles",
            source="Fu et al. 2020, FracTrain, progressive fractional quantization",
            options=to_options(PFQConfig()),
            build=lambda options: PFQ(PFQConfig(**options)),
        ),
        "dfq": Row(
            policy=DFQ,
            summary="precision that gates choose for every block and sample",
            source="Fu et al. 2020, FracTrain, dynamic fractional quantization",
            options=to_options(DFQConfig()),
            build=lambda options: DFQ(DFQConfig(**options)),
        ),
        "fractrain": Row(
            policy=FracTrain,
            summary="gates whose target cost rises in stages as the loss settles",
            source="Fu et al. 2020, FracTrain",
            options=to_options(FracTrainConfig()),
            build=lambda options: FracTrain(FracTrainConfig(**options)),
        ),
        "sbm": Row(
            policy=SBM,
            summary="eight-bit affine codes, with a second gradient copy for the weights",
            source="Banner, Hubara, Hoffer, Soudry 2018, Scalable methods for 8-bit training",
            options=to_options(SBMConfig()),
            build=lambda options: SBM(SBMConfig(**options)),
        ),
    }
)


def build(name: str, options: Mapping[str, Any] | None = None) -> Policy:
    """The policy of this name, with these options and the defaults of the others.

    Raises ValueError, naming what is accepted, for an unknown name or option.
    """
    row = POLICIES.get(name)
    if row is None:
        raise ValueError(f"policy {name!r} is unknown; give one of {', '.join(POLICIES)}")
    given = dict(options or {})
    unknown = sorted(given.keys() - row.options.keys())
    if unknown:
        accepted = ", ".join(row.options) or "none"
        raise ValueError(f"policy {name!r} has no option {', '.join(unknown)}; its options are: {accepted}")
    return row.build({**row.options, **given})
