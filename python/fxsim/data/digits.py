"""scikit-learn's handwritten digits: real images that come with a package, so nothing has to be downloaded."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch

from fxsim.data.dataset import Dataset, channel_statistics

_SCALE: Final = 16
_REPEAT: Final = 4
_TEST_SHARE: Final = 0.2
_SPLIT_SEED: Final = 0


def load_digits() -> Dataset:
    """1,437 training and 360 test images of ten classes, 8x8 pixels of 0 ... 16, each pixel repeated 4x4.

    A random 80/20 split, always the same, whatever a run's seed.

    Raises:
        ImportError: scikit-learn is not installed.

    Source: Alpaydin and Kaynak, "Optical recognition of handwritten digits", UCI Machine Learning Repository, 1998
    (its test part, as scikit-learn ships it).
    """
    try:
        from sklearn.datasets import load_digits as sklearn_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise ImportError(
            "data: digits come with scikit-learn, which is not installed; install 'fxsim[demo]', or choose another set"
        ) from error
    bunch = sklearn_digits()
    pixels = np.ascontiguousarray(bunch.images, dtype=np.uint8)
    labels = np.ascontiguousarray(bunch.target, dtype=np.int64)
    train, test = train_test_split(np.arange(len(labels)), test_size=_TEST_SHARE, random_state=_SPLIT_SEED)
    images = torch.from_numpy(pixels).unsqueeze(1)
    mean, std = channel_statistics(images[train], _SCALE)
    images = images.repeat_interleave(_REPEAT, dim=2).repeat_interleave(_REPEAT, dim=3)
    targets = torch.from_numpy(labels)
    return Dataset(
        name="digits",
        train_x=images[train],
        train_y=targets[train],
        test_x=images[test],
        test_y=targets[test],
        classes=tuple(str(digit) for digit in range(10)),
        mean=mean,
        std=std,
        scale=_SCALE,
    )
