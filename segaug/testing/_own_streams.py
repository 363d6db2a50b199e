"""The random streams that a transform draws from: the default ones, and those that it holds itself."""

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

__all__ = ["own_streams", "seed_all", "snapshot_defaults", "snapshot_own"]

_Stream = torch.Generator | random.Random | np.random.Generator | np.random.RandomState
# Deep enough for containers in containers; a cycle ends the walk anyway.
_DEEPEST = 8


def _own_streams(value: Any, seen: set[int], depth: int = 0) -> Iterator[_Stream]:
    if id(value) in seen or depth > _DEEPEST:
        return
    seen.add(id(value))
    if isinstance(value, _Stream):
        yield value
        return
    if isinstance(value, torch.Tensor | np.ndarray | str | bytes | int | float | type):
        return
    held: Any = ()
    if isinstance(value, dict):
        held = value.values()
    elif isinstance(value, list | tuple | set):
        held = value
    elif hasattr(value, "__dict__"):
        held = vars(value).values()
    for part in list(held):
        yield from _own_streams(part, seen, depth + 1)


def own_streams(transform: Any) -> list[Any]:
    """The streams that a transform holds: generators of torch, Python or numpy, in a fixed order."""
    return list(_own_streams(transform, set()))


def snapshot_defaults() -> tuple[Any, ...]:
    """The states of torch's, Python's and numpy's default streams, as a value that ``==`` compares."""
    legacy = np.random.get_state(legacy=True)  # noqa: NPY002
    return (
        bytes(torch.get_rng_state().numpy()),
        random.getstate(),
        (legacy[0], legacy[1].tobytes(), *legacy[2:]),  # type: ignore[index]
    )


def snapshot_own(transform: Any) -> tuple[Any, ...]:
    """The states of the streams that a transform holds."""
    return tuple(_state(stream) for stream in _own_streams(transform, set()))


def _state(stream: _Stream) -> Any:
    if isinstance(stream, torch.Generator):
        return bytes(stream.get_state().cpu().numpy())
    if isinstance(stream, random.Random):
        return stream.getstate()
    if isinstance(stream, np.random.Generator):
        return repr(stream.bit_generator.state)
    return repr(stream.get_state(legacy=False))


def seed_all(transform: Any, seed: int) -> None:
    """Seed torch's default stream and those that the transform holds: by its own method, or one by one.

    Python's and numpy's default streams are for ``forked_streams``.
    """
    # torch.manual_seed formats the whole call stack for CUDA's sake, which takes longer than a small transform.
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
    own_method = getattr(transform, "set_random_seed", None)
    if callable(own_method):
        own_method(seed)
        return
    for number, stream in enumerate(_own_streams(transform, set())):
        own = (seed + 7919 * (number + 1)) % 2**32
        if isinstance(stream, torch.Generator):
            stream.manual_seed(own)
        elif isinstance(stream, np.random.Generator):
            stream.bit_generator.state = type(stream.bit_generator)(own).state
        else:
            stream.seed(own)
