"""The streams that code may draw from without being given one: torch's, Python's and numpy's."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

__all__ = ["forked_streams"]


@contextmanager
def forked_streams(seed: int, devices: Sequence[torch.device | int]) -> Iterator[None]:
    """Put torch's default generators, Python's ``random`` and numpy's ``np.random`` back as they were, after the block.

    Of torch's, those of the CPU and of the CUDA ``devices``. Python's and numpy's start from ``seed``; torch's go on as they
    are, as it is for the caller to say which of them to seed.
    """
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=devices):
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002
