"""masks: bool masks that overlap in every way."""

import numpy as np
import torch
from hypothesis import strategies as st
from torchvision import tv_tensors

from segaug.testing.strategies._bounds import SEEDS, Sizes, check_counts, check_sizes, chosen, draw_span

__all__ = ["draw_masks", "masks"]

_KINDS = ("empty", "pixel", "rectangle", "full", "equal", "nested", "noise")


def masks(
    *,
    min_side: int = 1,
    max_side: int = 32,
    size: tuple[int, int] | None = None,
    min_masks: int = 0,
    max_masks: int = 4,
) -> st.SearchStrategy[tv_tensors.Mask]:
    """Draw stacks of masks, one per object, that may overlap.

    Each is empty, one pixel, a rectangle, full, equal to the one before, a part of the one before, or noise. Shrinks to few,
    small, empty masks.

    Args:
        min_side: The least height and width in pixels.
        max_side: The largest height and width.
        size: (H, W), for this size alone.
        min_masks: The least number of masks.
        max_masks: The largest number of masks.

    Returns:
        A strategy of ``tv_tensors.Mask``, (N, H, W) bool.

    Raises:
        TypeError: If a bound is no int.
        ValueError: If a bound is too small, or a maximum below its minimum.

    Example:
        >>> from hypothesis import find
        >>> find(masks(), lambda stack: stack.any()).tolist()
        [[[True]]]
    """
    return _masks(check_sizes(min_side, max_side, size), check_counts("masks", min_masks, max_masks))


def draw_masks(draw: st.DrawFn, count: int, size: tuple[int, int], *, empty: bool = True) -> np.ndarray:
    """Draw masks (N, H, W); ``empty`` is whether they may be."""
    stack = np.zeros((count, *size), dtype=bool)
    for i in range(count):
        stack[i] = _draw_mask(draw, stack[i - 1] if i else None, size, _KINDS if empty else _KINDS[1:])
    return stack


def _draw_mask(draw: st.DrawFn, before: np.ndarray | None, size: tuple[int, int], kinds: tuple[str, ...]) -> np.ndarray:
    height, width = size
    kind = draw(chosen(kinds))
    # All kinds take the same draws, used or not: so the shrinker can go from one to another and keep the rest.
    (top, bottom), (left, right) = draw_span(draw, height), draw_span(draw, width)
    seed = draw(SEEDS)
    mask = np.zeros(size, dtype=bool)
    if kind in ("equal", "nested"):
        outer = np.ones(size, dtype=bool) if before is None else before
        if kind == "equal" or not outer.any():
            return outer.copy()
        mask[top:bottom, left:right] = True
        # One pixel of the outer mask, so that its part is never empty.
        inside = np.flatnonzero(outer)
        mask.ravel()[inside[seed % inside.size]] = True
        return mask & outer
    if kind == "noise":
        mask = np.random.default_rng(seed).random(size) < 0.5
    if kind in ("pixel", "noise"):
        mask[top, left] = True
    elif kind == "rectangle":
        mask[top:bottom, left:right] = True
    elif kind == "full":
        mask[:] = True
    return mask


@st.composite
def _masks(draw: st.DrawFn, sizes: Sizes, bounds: tuple[int, int]) -> tv_tensors.Mask:
    count = draw(st.integers(*bounds))
    return torch.from_numpy(draw_masks(draw, count, sizes.draw(draw))).as_subclass(tv_tensors.Mask)
