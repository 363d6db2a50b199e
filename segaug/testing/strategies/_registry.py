"""Which transforms of which library are drawn, how, and what they need."""

import difflib
import functools
import importlib
import inspect
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, find, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from segaug._checks import check_choice, describe
from segaug.testing.strategies._arguments import chances

__all__ = ["KINDS", "NEEDS", "Entry", "entry", "named", "not_drawn", "pick", "register_transform", "registered"]

KINDS = (
    "geometric",  # moves pixels, or sets the size
    "color",  # changes the colours of pixels by a curve or a matrix
    "filter",  # mixes pixels with their neighbours, or codes them
    "noise",  # adds what is not in the picture: noise, weather, shadows
    "dropout",  # covers parts of the picture
    "policy",  # draws which of many operations to run
    "dtype",  # changes the dtype, or the range of the numbers
    "boxes",  # acts on boxes or key points
    "container",  # runs other transforms
    "identity",  # changes nothing
)
NEEDS = (
    "uint8",  # a picture of uint8
    "float",  # a picture of float32 in [0, 1]
    "mask",  # a mask beside the picture
    "boxes",  # bounding boxes, with labels, beside the picture
    "keypoints",  # key points beside the picture
    "divisible",  # a height and a width that 4 divides
)

_LIBRARIES = {
    "torchvision": "segaug.testing.strategies._torchvision",
    "kornia": "segaug.testing.strategies._kornia",
    "albumentations": "segaug.testing.strategies._albumentations",
}
_OWN: dict[str, dict[str, "Entry"]] = {library: {} for library in _LIBRARIES}


@dataclass(frozen=True)
class Entry:
    """How a class of transforms is drawn.

    Attributes:
        cls: The class.
        kind: One of ``KINDS``.
        strategy: Draws instances that work on pictures of at least 8 x 8 pixels with 3 channels.
        sample: Makes one instance with fixed arguments, with p = 0.5 where there is such an argument.
        needs: Which of ``NEEDS`` its input must meet; nothing means that any such picture of uint8 or floats will do.
        keeps_shape: Whether every instance that is drawn gives as many rows, columns and channels as it gets.
    """

    cls: type
    kind: str
    strategy: SearchStrategy[Any]
    sample: Callable[[], Any]
    needs: tuple[str, ...] = ()
    keeps_shape: bool = True


def entry(
    cls: Any,
    kind: str,
    sample: dict[str, Any] | None = None,
    *,
    needs: tuple[str, ...] = (),
    keeps_shape: bool = True,
    build: Callable[..., Any] | None = None,
    **arguments: SearchStrategy[Any],
) -> Entry:
    """An entry from the arguments of one sample and a strategy for each argument; ``p`` is added where there is one."""
    fixed = dict(sample or {})
    if "p" in inspect.signature(cls).parameters:
        arguments = {**arguments, "p": arguments.get("p", chances())}
        fixed.setdefault("p", 0.5)
    make = build or cls
    # Hypothesis shows what st.builds made as the call that makes it.
    drawn = st.builds(make, **arguments)
    strategy = drawn if arguments else _later(drawn)
    return Entry(cls, kind, strategy, functools.partial(make, **fixed), needs, keeps_shape)


def _later(strategy: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """The same with one choice more: examples shrink to few choices, and so to what has no arguments, plain or not."""
    return st.booleans().flatmap(lambda _: strategy)


def registered(library: str) -> dict[str, Entry]:
    """Every class of a library that is drawn, by name: those of this package, then those that were registered.

    Raises:
        ImportError: If the library is not installed.
        ValueError: If it is none of the three.
    """
    check_choice("library", library, tuple(_LIBRARIES))
    return {**importlib.import_module(_LIBRARIES[library]).entries(), **_OWN[library]}


def not_drawn(library: str) -> dict[str, str]:
    """The names of the classes of a library that are not drawn, each with the reason."""
    check_choice("library", library, tuple(_LIBRARIES))
    left_out: dict[str, str] = importlib.import_module(_LIBRARIES[library]).NOT_DRAWN
    return {name: reason for name, reason in left_out.items() if name not in _OWN[library]}


def register_transform(cls: type, strategy: SearchStrategy[Any], *, kind: str) -> Callable[[], None]:
    """Have a class drawn by the strategy of its library, from now on.

    It comes after those that are there already, so that examples shrink towards them. A class that is registered again,
    or that is drawn anyway, gets the new strategy.

    Args:
        cls: A class of torchvision, kornia or albumentations, or one of your own that is derived from one.
        strategy: Draws instances of it that work on pictures of at least 8 x 8 pixels with 3 channels.
        kind: What it does: one of ``"geometric"``, ``"color"``, ``"filter"``, ``"noise"``, ``"dropout"``, ``"policy"``,
            ``"dtype"``, ``"boxes"``, ``"container"`` and ``"identity"``.

    Returns:
        A function that takes it back.

    Raises:
        TypeError: If ``cls`` is no class or ``strategy`` no strategy.
        ValueError: If ``cls`` comes from none of the three libraries, another class of its name is drawn already, or
            ``kind`` is not known.

    Example:
        >>> from hypothesis import find, strategies as st
        >>> from torchvision.transforms import v2
        >>> from segaug.testing.strategies import register_transform, torchvision_transforms
        >>> class Darken(v2.Transform):
        ...     def transform(self, inpt, params):
        ...         return inpt // 2
        >>> take_back = register_transform(Darken, st.builds(Darken), kind="color")
        >>> find(torchvision_transforms(names=["Darken"]), lambda transform: True)
        Darken()
        >>> take_back()
    """
    if not isinstance(cls, type):
        raise TypeError(f"cls must be a class, got {describe(cls)}")
    if not isinstance(strategy, SearchStrategy):
        raise TypeError(f"strategy must be a strategy of hypothesis, got {describe(strategy)}")
    check_choice("kind", kind, KINDS)
    roots = [base.__module__.partition(".")[0] for base in cls.__mro__]
    library = next((root for root in roots if root in _LIBRARIES), None)
    if library is None:
        raise ValueError(
            f"cls must be a class of {', '.join(_LIBRARIES)}, or be derived from one, got {cls.__module__}.{cls.__qualname__}"
        )
    taken = registered(library).get(cls.__name__)
    if taken is not None and (taken.cls.__module__, taken.cls.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(
            f"cls must have a name of its own, got {cls.__module__}.{cls.__qualname__} beside "
            f"{taken.cls.__module__}.{taken.cls.__qualname__}"
        )
    own = _OWN[library]
    before = own.get(cls.__name__)
    sample = functools.partial(_simplest, strategy)
    # Nothing is known about it: it may change the shape.
    own[cls.__name__] = Entry(cls, kind, _later(strategy), sample, keeps_shape=False)

    def take_back() -> None:
        own.pop(cls.__name__, None)
        if before is not None:
            own[cls.__name__] = before

    return take_back


def _simplest(strategy: SearchStrategy[Any]) -> Any:
    quiet = settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))
    return find(strategy, lambda value: True, settings=quiet)


def pick(
    library: str,
    *,
    names: Collection[str] | None,
    exclude: Collection[str],
    kinds: Collection[str] | None,
    needs: Collection[str],
) -> SearchStrategy[Any]:
    """Draw from the entries of a library that are asked for; see ``torchvision_transforms``."""
    table = registered(library)
    wanted = None if names is None else _check_names("names", names, library, table)
    unwanted = _check_names("exclude", exclude, library, {**table, **not_drawn(library)})
    allowed = KINDS if kinds is None else _check_words("kinds", kinds, KINDS)
    met = _check_words("needs", needs, NEEDS)
    chosen = [
        found.strategy
        for name, found in table.items()
        if name not in unwanted
        and found.kind in allowed
        and (set(found.needs) <= set(met) if wanted is None else name in wanted)
    ]
    if not chosen:
        raise ValueError(
            f"names, exclude, kinds and needs must leave a transform of {library} to draw, got names={names!r}, "
            f"exclude={exclude!r}, kinds={kinds!r}, needs={needs!r}"
        )
    return named(f"{library}_transforms", st.one_of(chosen))


def named(name: str, strategy: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """The same under a short name: hypothesis warns where it has to show one that is put together of so many."""

    def choose(draw: st.DrawFn) -> Any:
        return draw(strategy)

    choose.__name__ = name
    return st.composite(choose)()


def _check_names(argument: str, names: Any, library: str, known: dict[str, Any]) -> tuple[str, ...]:
    left_out = not_drawn(library)
    for name in (words := _words(argument, names)):
        if name in known:
            continue
        if name in left_out:
            raise ValueError(f"{argument} must be of classes that are drawn, got {name!r}: {left_out[name]}")
        near = difflib.get_close_matches(name, known, n=3)
        advice = f"; near it: {', '.join(near)}" if near else ""
        raise ValueError(f"{argument} must be of classes of {library} that are drawn, got {name!r}{advice}")
    return words


def _check_words(argument: str, words: Any, choices: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(check_choice(argument, word, choices) for word in _words(argument, words))


def _words(argument: str, words: Any) -> tuple[str, ...]:
    # A string is a collection of its letters, which nobody means.
    if isinstance(words, str) or not isinstance(words, Collection) or not all(isinstance(word, str) for word in words):
        raise TypeError(f"{argument} must be a list, tuple or set of strings, got {describe(words)}")
    return tuple(words)
