"""Containers of torchvision with drawn transforms inside."""

from collections.abc import Collection
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from torchvision.transforms import v2

from segaug._checks import check_choice, check_int, describe
from segaug.testing.strategies._arguments import chances, side_pairs, spans
from segaug.testing.strategies._registry import named, registered
from segaug.testing.strategies._torchvision import torchvision_transforms

__all__ = ["pipelines"]

_CONTAINERS = ("Compose", "RandomApply", "RandomChoice", "RandomOrder")


def pipelines(
    *,
    transforms: SearchStrategy[Any] | None = None,
    min_size: int = 1,
    max_size: int = 3,
    containers: Collection[str] = _CONTAINERS,
) -> SearchStrategy[v2.Transform]:
    """Containers of ``torchvision.transforms.v2`` with drawn transforms inside, some of them containers themselves.

    A container in a container holds transforms alone. Shrinks towards the first of ``containers`` around one transform,
    which with the defaults is ``Compose([RandomHorizontalFlip(p=1.0)])``.

    Args:
        transforms: Draws what is inside. By default those transforms of torchvision that keep the picture's shape and
            dtype, and ``RandomResizedCrop``, ``Resize`` and ``CenterCrop`` to sides of 8 to 16 pixels, so that each works
            on what the one before gives.
        min_size: How many transforms or containers a container holds at least. 1 at least.
        max_size: How many it holds at most.
        containers: Which containers to draw: ``"Compose"``, ``"RandomApply"``, ``"RandomChoice"``, ``"RandomOrder"``.

    Returns:
        The strategy.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If ``min_size`` is 0, ``max_size`` is below it, or ``containers`` is empty or has an unknown name.

    Example:
        >>> from hypothesis import find
        >>> from segaug.testing.strategies import pipelines
        >>> find(pipelines(), lambda pipeline: True)
        Compose( RandomHorizontalFlip(p=1.0))
    """
    if transforms is not None and not isinstance(transforms, SearchStrategy):
        raise TypeError(f"transforms must be a strategy of hypothesis or None, got {describe(transforms)}")
    smallest = check_int("min_size", min_size, minimum=1)
    largest = check_int("max_size", max_size, minimum=1)
    if smallest > largest:
        raise ValueError(f"min_size must be at most max_size, got {smallest} and {largest}")
    if isinstance(containers, str) or not isinstance(containers, Collection):
        raise TypeError(f"containers must be a list, tuple or set of names, got {describe(containers)}")
    names = [check_choice("containers", name, _CONTAINERS) for name in containers]
    if not names:
        raise ValueError(f"containers must hold at least one name, got {containers!r}")
    leaves = _chainable() if transforms is None else transforms
    flat = _around(names, leaves, smallest, largest)
    return named("pipelines", flat | _around(names, leaves | flat, smallest, largest))


def _around(names: list[str], inside: SearchStrategy[Any], smallest: int, largest: int) -> SearchStrategy[Any]:
    lists = st.lists(inside, min_size=smallest, max_size=largest)
    weighted = lists.flatmap(
        lambda children: st.builds(
            v2.RandomChoice,
            st.just(children),
            p=st.none() | st.lists(st.integers(1, 3), min_size=len(children), max_size=len(children)),
        )
    )
    made = {
        "Compose": st.builds(v2.Compose, lists),
        "RandomApply": st.builds(v2.RandomApply, lists, p=chances()),
        "RandomChoice": weighted,
        "RandomOrder": st.builds(v2.RandomOrder, lists),
    }
    return st.one_of([made[name] for name in names])


def _chainable() -> SearchStrategy[Any]:
    left_out = ("boxes", "container", "dtype")
    keeping = [
        name
        for name, entry in registered("torchvision").items()
        if entry.keeps_shape and not entry.needs and entry.kind not in left_out
    ]
    # No transform gets less than 8 x 8 pixels.
    sides = side_pairs(8, 16)
    return st.one_of(
        torchvision_transforms(names=keeping),
        st.builds(v2.RandomResizedCrop, size=sides, scale=spans(0.1, 1.0)),
        st.builds(v2.Resize, size=sides),
        st.builds(v2.CenterCrop, size=sides),
    )
