"""segment_maps: maps of the shapes that segments have, and of those that they hardly ever have."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from hypothesis import strategies as st

from segaug.structures import SegmentMap
from segaug.testing.strategies._bounds import SEEDS, Sizes, check_counts, check_names, check_sizes, chosen
from segaug.testing.strategies._regions import SEGMENT_MAP_KINDS, make_labels

__all__ = ["SEGMENT_MAP_KINDS", "MapBounds", "check_map_bounds", "draw_segment_map", "segment_maps"]

_VARIANTS = st.integers(0, 7)


@dataclass(frozen=True)
class MapBounds:
    """What maps to draw: sizes, numbers of segments, and the kinds that fit both."""

    sizes: Sizes
    segments: tuple[int, int]
    kinds: tuple[str, ...]


def segment_maps(
    *,
    min_side: int = 1,
    max_side: int = 32,
    size: tuple[int, int] | None = None,
    min_segments: int = 0,
    max_segments: int = 8,
    kinds: str | Sequence[str] = SEGMENT_MAP_KINDS,
) -> st.SearchStrategy[SegmentMap]:
    """Draw segment maps.

    The number of segments (different labels above 0) is always within its bounds. Some maps have pixels in no segment,
    others have none. Sizes without pixels enough for ``min_segments`` are not drawn.

    Shrinks to the first kind (runs of pixels), a small map, and few segments without a hole.

    Args:
        min_side: The least height and width in pixels.
        max_side: The largest height and width.
        size: (H, W), for this size alone.
        min_segments: The least number of segments.
        max_segments: The largest number of segments.
        kinds: One or several of :data:`SEGMENT_MAP_KINDS`. ``"empty"`` needs a ``min_segments`` of 0, ``"per_pixel"``
            a size of ``min_segments`` to ``max_segments`` pixels; where they do not fit, the other kinds are drawn.

    Returns:
        A strategy of :class:`~segaug.SegmentMap`, (H, W) int64.

    Raises:
        TypeError: If a bound is no int.
        ValueError: If a bound is too small, a maximum is below its minimum, ``min_segments`` is above the pixels of the
            largest size, or a kind is unknown or none is possible.

    Example:
        >>> from hypothesis import find
        >>> find(segment_maps(), lambda segments: segments.num_segments == 2).tolist()
        [[1, 2]]
    """
    return _segment_maps(check_map_bounds(min_side, max_side, size, min_segments, max_segments, kinds))


def check_map_bounds(
    min_side: int,
    max_side: int,
    size: tuple[int, int] | None,
    min_segments: int,
    max_segments: int,
    kinds: str | Sequence[str],
) -> MapBounds:
    """Check what :func:`segment_maps` takes."""
    sizes = check_sizes(min_side, max_side, size)
    segments = check_counts("segments", min_segments, max_segments)
    names = check_names("kinds", kinds, SEGMENT_MAP_KINDS)
    if segments[0] > sizes.largest:
        argument = "max_side" if size is None else "size"
        raise ValueError(
            f"min_segments must be at most the pixels of the largest size, {sizes.heights[1]} * {sizes.widths[1]} by "
            f"{argument}, got {segments[0]}"
        )
    possible = tuple(
        name for name in names if sizes.fit(*_pixels(name, segments)) and (name != "empty" or not segments[0])
    )
    if not possible:
        raise ValueError(
            f"kinds must hold one that is possible with min_segments={segments[0]}, max_segments={segments[1]} and heights "
            f"of {sizes.heights} and widths of {sizes.widths}, got {', '.join(map(repr, names))}"
        )
    return MapBounds(sizes, segments, possible)


def draw_segment_map(draw: st.DrawFn, bounds: MapBounds) -> SegmentMap:
    """Draw one map."""
    kind = draw(chosen(bounds.kinds))
    height, width = bounds.sizes.draw(draw, *_pixels(kind, bounds.segments))
    # All kinds and sizes take the same draws, used or not: so the shrinker can go from one to another and keep the rest.
    count, hole = draw(st.integers(*bounds.segments)), draw(st.integers(0, bounds.segments[1] + 1))
    variant, seed = draw(_VARIANTS), draw(SEEDS)
    count = {"per_pixel": height * width, "empty": 0}.get(kind, min(count, height * width))
    hole %= count + 2
    labels = make_labels(kind, (height, width), count, hole, variant, seed)
    return torch.from_numpy(labels).as_subclass(SegmentMap)


def _pixels(kind: str, segments: tuple[int, int]) -> tuple[int, int | None]:
    """How many pixels a map of a kind must and may have."""
    return max(segments[0], 1), segments[1] if kind == "per_pixel" else None


@st.composite
def _segment_maps(draw: st.DrawFn, bounds: MapBounds) -> SegmentMap:
    return draw_segment_map(draw, bounds)
