"""Watch the members of a composition: what each of them draws, whatever those before it did."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from segaug.testing._compare import copy_sample
from segaug.testing._outcomes import Outcome, outcome

__all__ = ["Watched", "watch_members"]

# Containers in containers end somewhere.
_DEEPEST = 6


@dataclass
class Watched:
    """A member of a composition, which is given the same input at every call; so its outcomes follow from its draws alone.

    Args:
        name: Its class and its place.
        group: Which composition it is a member of.
    """

    name: str
    group: int
    probe: tuple[tuple[Any, ...], dict[str, Any]] | None = None
    is_usable: bool = True
    outcomes: list[Outcome] = field(default_factory=list)

    def run(self, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the member with the input of its first call instead of the one that came, and note what it returns."""
        data = {name: value for name, value in kwargs.items() if isinstance(value, torch.Tensor | np.ndarray)}
        if self.probe is None:
            self.probe = _copy((args, data))
        if self.is_usable:
            fixed, fixed_data = _copy(self.probe)
            try:
                returned = call(*fixed, **{**kwargs, **fixed_data})
            except Exception:
                # Parameters that were drawn for another size, say: it goes on with what came, and says nothing.
                self.is_usable = False
            else:
                self.outcomes.append(outcome(returned))
                return returned
        return call(*args, **kwargs)

    def take(self) -> Outcome | None:
        """The outcome since the last time; None unless it was called once."""
        noted, self.outcomes = self.outcomes, []
        return noted[0] if self.is_usable and len(noted) == 1 else None


def watch_members(transform: Any) -> list[Watched]:
    """Watch all members of a composition, and of those in it; ``transform`` is changed for good."""
    found: list[Watched] = []
    _watch(transform, found, set(), 0)
    return found


def _watch(composition: Any, found: list[Watched], seen: set[int], depth: int) -> None:
    group = id(composition)
    for place, member in _members(composition):
        if id(member) in seen or depth > _DEEPEST:
            continue
        seen.add(id(member))
        watched = Watched(f"{type(member).__name__} ({place})", group)
        _watch(member, found, seen, depth + 1)
        if _intercept(composition, place, member, watched):
            found.append(watched)


def _members(composition: Any) -> Iterator[tuple[int, Any]]:
    held = getattr(composition, "transforms", None)
    if isinstance(composition, torch.nn.Sequential):
        held = list(composition.children())
    if isinstance(held, list | tuple | torch.nn.ModuleList):
        yield from ((place, member) for place, member in enumerate(held) if callable(member))


def _intercept(composition: Any, place: int, member: Any, watched: Watched) -> bool:
    """Have a member's calls go through ``watched``; whether that could be done."""
    kind = type(member)

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return watched.run(lambda *fixed, **options: kind.__call__(self, *fixed, **options), args, kwargs)

    try:
        # The member stays what it is for isinstance. Not by its metaclass, which may enter classes into a registry.
        member.__class__ = type.__new__(type(kind), kind.__name__, (kind,), {"__call__": call, "__module__": __name__})
        return True
    except TypeError:
        pass
    held = getattr(composition, "transforms", None)
    if not isinstance(held, list | tuple):
        return False

    def instead(*args: Any, **kwargs: Any) -> Any:
        return watched.run(member, args, kwargs)

    try:
        composition.transforms = type(held)([*held[:place], instead, *held[place + 1 :]])
    except (AttributeError, TypeError):
        return False
    return True


def _copy(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, tuple):
        return tuple(_copy(part) for part in value)
    if isinstance(value, dict):
        return {name: _copy(part) for name, part in value.items()}
    return copy_sample(value)
