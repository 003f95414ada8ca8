"""Labelled images of 32x32 pixels: the sets experiments name, read from their usual files, in reproducible batches."""

from __future__ import annotations

from fxsim.data.batches import Split, batch_count, batches
from fxsim.data.dataset import Dataset
from fxsim.data.table import DATASETS, load

__all__ = ["DATASETS", "Dataset", "Split", "batch_count", "batches", "load"]
