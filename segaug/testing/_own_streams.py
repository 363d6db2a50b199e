"""The random streams that a transform draws from: the default ones, and those that it holds itself."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch

__all__ = ["kept_streams", "own_streams", "seed_all", "snapshot_defaults", "snapshot_own"]

_Stream = torch.Generator | random.Random | np.random.Generator | np.random.RandomState
# Deep enough for containers in containers; a cycle ends the walk anyway.
_DEEPEST = 8


# What holds no streams, and modules, whose streams are everybody's.
_HOLDS_NONE = torch.Tensor | np.ndarray | str | bytes | int | float | type | ModuleType
# Longer sequences are data, such as names of files.
_LONGEST = 1000


def _own_streams(value: Any, seen: set[int], depth: int = 0) -> Iterator[_Stream]:
    if value is None or isinstance(value, _HOLDS_NONE) or id(value) in seen or depth > _DEEPEST:
        return
    seen.add(id(value))
    if isinstance(value, _Stream):
        yield value
        return
    for part in _parts(value):
        yield from _own_streams(part, seen, depth + 1)


def _parts(value: Any) -> list[Any]:
    """What a value holds, and for a function what it draws on: its object, its closure, and the globals that it names."""
    if isinstance(value, dict):
        return list(value.values()) if len(value) <= _LONGEST else []
    if isinstance(value, list | tuple | set):
        return list(value) if len(value) <= _LONGEST else []
    if isinstance(value, MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if cell != CellType()]
        named = [value.__globals__.get(name) for name in value.__code__.co_names]
        return [*cells, *(part for part in named if not isinstance(part, FunctionType))]
    slots = [getattr(value, name, None) for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    return [*getattr(value, "__dict__", {}).values(), *slots]


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
        return None if isinstance(stream, random.SystemRandom) else stream.getstate()
    if isinstance(stream, np.random.Generator):
        return repr(stream.bit_generator.state)
    return repr(stream.get_state(legacy=False))


@contextmanager
def kept_streams(transform: Any) -> Iterator[None]:
    """Put the streams that a transform holds, or a function names, back as they were, after the block."""
    held = [(stream, _save(stream)) for stream in own_streams(transform)]
    try:
        yield
    finally:
        for stream, state in held:
            _restore(stream, state)


def _save(stream: _Stream) -> Any:
    if isinstance(stream, torch.Generator):
        return stream.get_state()
    if isinstance(stream, random.Random):
        return None if isinstance(stream, random.SystemRandom) else stream.getstate()
    return stream.bit_generator.state if isinstance(stream, np.random.Generator) else stream.get_state(legacy=False)


def _restore(stream: _Stream, state: Any) -> None:
    if isinstance(stream, random.Random):
        if state is not None:
            stream.setstate(state)
    elif isinstance(stream, np.random.Generator):
        stream.bit_generator.state = state
    else:
        stream.set_state(state)


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
        elif not isinstance(stream, random.SystemRandom):
            stream.seed(own)
