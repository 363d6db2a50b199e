"""Seeds for every place that draws, so that a run does not depend on how its work is spread."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from segaug._checks import check_int
from segaug._streams import forked_streams

__all__ = ["derive_seed", "seeded_stream"]


def derive_seed(*parts: int) -> int:
    """Turn numbers such as (seed, epoch, index) into one seed.

    Different numbers give unrelated seeds; sums or products of them would meet (seed 0, epoch 1 and seed 1, epoch 0).

    Args:
        *parts: Integers of at least 0.

    Returns:
        A seed in [0, 2^63), for ``torch.manual_seed``.

    Raises:
        TypeError: If a part is not an int.
        ValueError: If a part is negative.

    Example:
        >>> derive_seed(0, 1, 7) == derive_seed(0, 1, 7), derive_seed(0, 1, 7) == derive_seed(1, 0, 7)
        (True, False)
    """
    text = "/".join(str(check_int("parts", part, minimum=0)) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@contextmanager
def seeded_stream(*parts: int) -> Iterator[None]:
    """Draw from a stream of its own inside the block, and leave all default generators as they were after it.

    torch's are meant, and, for callables that draw from them, Python's ``random`` and numpy's ``np.random``.

    Args:
        *parts: As for :func:`derive_seed`.

    Raises:
        TypeError: If a part is not an int.
        ValueError: If a part is negative.

    Example:
        >>> with seeded_stream(0, 1, 7):
        ...     first = torch.rand(3)
        >>> with seeded_stream(0, 1, 7):
        ...     second = torch.rand(3)
        >>> torch.equal(first, second)
        True
    """
    seed = derive_seed(*parts)
    # All of them, as torch.manual_seed seeds all; none before CUDA is in use, as asking would start it.
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with forked_streams(seed, devices):
        torch.manual_seed(seed)
        yield
