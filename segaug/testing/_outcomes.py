"""What a random result is reduced to, so that results can be counted."""

import hashlib
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from segaug._streams import forked_streams
from segaug.testing._augmentation import Augmentation
from segaug.testing._compare import plain
from segaug.testing._errors import PropertyFailed
from segaug.testing._statistics import ERROR_LEVEL, dependence_p

__all__ = ["FEWEST_CALLS", "Outcome", "check_pair", "fresh_stream", "outcome", "play", "varying"]

# With fewer no test can say anything at its level.
FEWEST_CALLS = 20

# A digest, equal for equal results alone, and some numbers that follow from the result.
Outcome = tuple[Hashable, tuple[float, ...]]
# Frequencies of the waves that pixels are weighted with: no two pixels or results weigh the same.
_WAVES = (0.7390851, 2.2360679)


def outcome(value: Any) -> Outcome:
    """A result as an outcome: its leaves, with dtypes and shapes, and two weighted sums of their numbers."""
    digest = hashlib.sha256()
    sums = [0.0 for _ in _WAVES]
    for leaf in pytree.tree_leaves(value):
        if not isinstance(leaf, torch.Tensor | np.ndarray):
            digest.update(repr(leaf).encode())
            continue
        array = plain(leaf).detach().cpu().contiguous() if isinstance(leaf, torch.Tensor) else torch.tensor(leaf.copy())
        digest.update(f"{tuple(array.shape)} {array.dtype}".encode())
        digest.update(array.reshape(-1).view(torch.uint8).numpy().tobytes() if array.numel() else b"")
        numbers = array.double().flatten().nan_to_num()
        place = torch.arange(1, numbers.numel() + 1, dtype=torch.float64)
        sums = [total + float((numbers * (wave * place).sin()).sum()) for total, wave in zip(sums, _WAVES, strict=True)]
    return digest.digest(), tuple(sums)


@contextmanager
def fresh_stream(seed: int) -> Iterator[None]:
    """Seed the default streams for a block and put them back; what a transform holds itself is left as it was made."""
    with forked_streams(seed, []):
        torch.manual_seed(seed)
        yield


def play(augmentation: Augmentation, sample: Any, seed: int, calls: int) -> Iterator[Any]:
    """The results of successive calls of a new copy, which draws on and on."""
    with fresh_stream(seed):
        copied = augmentation.fresh()
        for _ in range(calls):
            yield copied(sample)


def varying(columns: Sequence[Sequence[Outcome]]) -> list[int]:
    """Which columns of outcomes hold more than one value."""
    return [i for i, column in enumerate(columns) if len({value for value, _ in column}) > 1]


def check_pair(first: Sequence[Outcome], second: Sequence[Outcome], *, names: tuple[str, str], tests: int) -> None:
    """Raise PropertyFailed if two sequences of outcomes, one of ``tests`` that are looked at, depend on each other."""
    value = tests * dependence_p(first, second)
    if value < ERROR_LEVEL:
        agreeing = sum(a == b for a, b in zip(first, second, strict=True))
        more = f"; the two results are the same in {agreeing} of {len(first)} calls" if agreeing == len(first) else ""
        raise PropertyFailed(f"expected {names[0]} and {names[1]} to be independent, got p = {value:.1e}{more}")
