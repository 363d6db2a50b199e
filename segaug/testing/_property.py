"""What a property is: a function, and what it can be held against."""

from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import TypeVar, cast

__all__ = ["GATE", "KINDS", "PROPERTIES", "Check", "Property", "all_properties", "declare"]

# The kinds of samples.
KINDS = ("image", "image_batch", "annotated_image", "segmented_image", "segment_tokens", "token_batch")
# The property that fails where a call does not even return.
GATE = "returns_same_structure"
Check = Callable[..., None]
Named = TypeVar("Named", bound=Check)


@dataclass(frozen=True)
class Property:
    """A property, and when it applies.

    Args:
        check: The function, ``check(transform, sample, *, seed=0)``; it raises PropertyFailed or NotApplicable.
        kinds: The kinds of samples that it takes, the most telling first.
        statistical: Whether it calls the transform often on one sample and counts, as in ``check(..., calls=200)``;
            it is then run once rather than for many drawn samples.
        results_per_call: How many results one call of the transform gives such a property; ``calls`` counts results.
        is_geometric: True or False if it speaks of transforms only that move pixels, or only of those that do not.
    """

    check: Check
    kinds: tuple[str, ...]
    statistical: bool = False
    is_geometric: bool | None = None
    results_per_call: int = 1

    @property
    def name(self) -> str:
        """The function's name."""
        return self.check.__name__

    @property
    def statement(self) -> str:
        """The first line of its docstring."""
        return (self.check.__doc__ or "").strip().splitlines()[0]


# All properties by name, as their modules are imported.
PROPERTIES: dict[str, Property] = {}


# From what every transform must keep to what few have; modules of ``segaug.testing.properties``.
_ORDER = (
    "_contract",
    "_robustness",
    "_seeding",
    "_numbers",
    "_calls",
    "_independence",
    "_members",
    "_patterns",
    "_workers",
    "_segments",
    "_names",
    "_filler",
    "_batches",
    "_engine",
    "_geometry",
    "_boxes",
    "_positions",
    "_involution",
)


def all_properties() -> dict[str, Property]:
    """All properties by name, in the order in which they are checked and reported."""

    def place(held: Property) -> tuple[int, int]:
        module = held.check.__module__.rpartition(".")[2]
        return (
            _ORDER.index(module) if module in _ORDER else len(_ORDER),
            cast(FunctionType, held.check).__code__.co_firstlineno,
        )

    return {held.name: held for held in sorted(PROPERTIES.values(), key=place)}


def declare(
    *kinds: str, statistical: bool = False, is_geometric: bool | None = None, results_per_call: int = 1
) -> Callable[[Named], Named]:
    """Enter a function into ``PROPERTIES``; the function stays as it is."""

    def enter(check: Named) -> Named:
        PROPERTIES[check.__name__] = Property(check, kinds or KINDS, statistical, is_geometric, results_per_call)
        return check

    return enter
