"""What the strategies' arguments have in common: checked when a strategy is made, drawn from later."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from segaug._checks import check_int, describe

__all__ = [
    "SEEDS",
    "Sizes",
    "check_channels",
    "check_counts",
    "check_dtypes",
    "check_names",
    "check_range",
    "check_size",
    "check_sizes",
    "chosen",
    "draw_span",
]

# Whatever needs many random numbers takes one drawn seed, never a global state: hypothesis can replay and shrink it.
SEEDS = st.integers(0, 2**16 - 1)
# Sides are listed one by one; a hundred pictures beyond this would take too long anyway.
_LARGEST_SIDE = 4096


@dataclass(frozen=True)
class Sizes:
    """The heights and widths to draw from; both ends count."""

    heights: tuple[int, int]
    widths: tuple[int, int]

    @property
    def largest(self) -> int:
        """Pixels of the largest size."""
        return self.heights[1] * self.widths[1]

    def fit(self, min_pixels: int, max_pixels: int | None = None) -> bool:
        """Whether a size has a number of pixels within the bounds."""
        return bool(_fitting_heights(self, min_pixels, max_pixels))

    def draw(self, draw: st.DrawFn, min_pixels: int = 1, max_pixels: int | None = None) -> tuple[int, int]:
        """Draw (H, W) with a number of pixels within the bounds; shrinks to the lowest height, then width."""
        heights = _fitting_heights(self, min_pixels, max_pixels)
        # Where one number is left, hypothesis draws nothing. A place among all sides is always a draw, whatever fits: the
        # shrinker holds fewer draws for simpler, and would keep a large size that saves one.
        height = heights[draw(_places(self.heights[1] - self.heights[0] + 1)) % len(heights)]
        widths = _fitting_widths(self, height, min_pixels, max_pixels)
        return height, widths[draw(_places(self.widths[1] - self.widths[0] + 1)) % len(widths)]


def _fitting_widths(sizes: Sizes, height: int, min_pixels: int, max_pixels: int | None) -> range:
    low, high = sizes.widths
    low = max(low, -(-min_pixels // height))
    return range(low, (high if max_pixels is None else min(high, max_pixels // height)) + 1)


@lru_cache(maxsize=256)
def _fitting_heights(sizes: Sizes, min_pixels: int, max_pixels: int | None) -> tuple[int, ...]:
    low, high = sizes.heights
    return tuple(h for h in range(low, high + 1) if _fitting_widths(sizes, h, min_pixels, max_pixels))


@lru_cache(maxsize=256)
def _places(count: int) -> st.SearchStrategy[int]:
    # The smallest side is listed several times: thin pictures break more than their share of transforms.
    return st.sampled_from([0] * (count // 8) + list(range(count)))


def chosen(choices: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    """One of the choices; made once for each tuple, as hypothesis spends more time on making it than on the draw."""
    # With their types: (1,) equals (True,), and is another choice.
    return _chosen(choices, tuple(map(type, choices)))


@lru_cache(maxsize=256)
def _chosen(choices: tuple[Any, ...], types: tuple[type, ...]) -> st.SearchStrategy[Any]:
    return st.sampled_from(choices)


def draw_span(draw: st.DrawFn, length: int) -> tuple[int, int]:
    """Draw a start and a stop, 0 <= start < stop <= length; shrinks to 0 and 1."""
    start = draw(st.integers(0, length - 1))
    # Two draws wherever it starts, for the reason given in Sizes.draw.
    return start, start + 1 + draw(st.integers(0, length - 1)) % (length - start)


def check_sizes(min_side: int, max_side: int, size: tuple[int, int] | None, *, name: str = "size") -> Sizes:
    """Return the sizes that ``min_side``, ``max_side`` and ``size``, which comes first, allow."""
    min_side = check_int("min_side", min_side, minimum=1)
    max_side = check_int("max_side", max_side, minimum=1)
    if size is not None:
        height, width = check_size(name, size)
        return Sizes((height, height), (width, width))
    if max_side < min_side:
        raise ValueError(f"max_side must be at least min_side ({min_side}), got {max_side}")
    if max_side > _LARGEST_SIDE:
        raise ValueError(f"max_side must be at most {_LARGEST_SIDE}, got {max_side}")
    return Sizes((min_side, max_side), (min_side, max_side))


def check_size(name: str, size: Any) -> tuple[int, int]:
    """Return ``size`` as (H, W) if both are ints of at least 1."""
    if not isinstance(size, tuple | list) or len(size) != 2:
        raise TypeError(f"{name} must be (H, W), got {describe(size)}")
    return check_int(f"{name}[0]", size[0], minimum=1), check_int(f"{name}[1]", size[1], minimum=1)


def check_counts(what: str, low: Any, high: Any) -> tuple[int, int]:
    """Return ``min_{what}`` and ``max_{what}`` if they are ints, at least 0 and in order."""
    low = check_int(f"min_{what}", low, minimum=0)
    high = check_int(f"max_{what}", high, minimum=0)
    if high < low:
        raise ValueError(f"max_{what} must be at least min_{what} ({low}), got {high}")
    return low, high


def check_range(name: str, value: Any, *, minimum: int) -> tuple[int, int]:
    """Return ``value``, an int or (min, max), as (min, max)."""
    if not isinstance(value, tuple | list):
        value = (value, value)
    if len(value) != 2:
        raise ValueError(f"{name} must be an int or (min, max), got {describe(value)}")
    low = check_int(name, value[0], minimum=minimum)
    high = check_int(name, value[1], minimum=minimum)
    if high < low:
        raise ValueError(f"{name} must be (min, max) with min at most max, got {describe(value)}")
    return low, high


def check_names(name: str, value: Any, allowed: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``value``, one of the allowed names or several, as a tuple."""
    return _one_or_more(name, value, lambda entry: entry in allowed, ", ".join(map(repr, allowed)))


def check_dtypes(value: Any) -> tuple[torch.dtype, ...]:
    """Return ``dtypes``, one or several, as a tuple."""
    return _one_or_more("dtypes", value, lambda entry: entry in _DTYPES, ", ".join(map(str, _DTYPES)))


_DTYPES = (torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64)


def check_channels(value: Any, allowed: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """Return ``channels``, one or several numbers, as a tuple; any number from 1 on if ``allowed`` is None."""

    def is_right(entry: Any) -> bool:
        if isinstance(entry, bool) or not isinstance(entry, int | np.integer):
            return False
        return int(entry) >= 1 if allowed is None else int(entry) in allowed

    return _one_or_more(
        "channels", value, is_right, "ints of at least 1" if allowed is None else " or ".join(map(str, allowed))
    )


def _one_or_more(name: str, value: Any, is_right: Callable[[Any], bool], allowed: str) -> tuple[Any, ...]:
    is_several = isinstance(value, Iterable) and not isinstance(value, str)
    entries = tuple(value) if is_several else (value,)
    if not entries:
        raise ValueError(f"{name} must hold at least one of {allowed}, got none")
    for entry in entries:
        if not is_right(entry):
            raise ValueError(f"{name} must be one or more of {allowed}, got {describe(entry)}")
    return entries
