"""What optimizers keep, in fixed point."""

from fxsim.optim.quantized import Quantized

__all__ = ["Quantized"]
