"""Labels (H, W) of many shapes, each with exactly the number of segments that is asked for."""

from collections.abc import Callable

import numpy as np

__all__ = ["SEGMENT_MAP_KINDS", "make_labels"]

SEGMENT_MAP_KINDS: tuple[str, ...] = (
    "runs",
    "grid",
    "stripes",
    "voronoi",
    "blobs",
    "rings",
    "borders",
    "single_pixels",
    "gaps",
    "empty",
    "per_pixel",
)
"""The shapes that :func:`segment_maps` draws.

``"runs"``: of pixels, row by row; ``"grid"``; ``"stripes"``: columns, rows or diagonals; ``"voronoi"``: cells around random
pixels; ``"blobs"``: discs that cover one another; ``"rings"``: one within the other; ``"borders"``: pieces of the picture's
outermost pixels; ``"single_pixels"``: of one pixel each; ``"gaps"``: runs whose labels leave out numbers, up to above 2^24,
where float32 takes two labels for one; ``"empty"``: no segment; ``"per_pixel"``: every pixel is one.
"""

# The kinds that leave no pixel out by themselves.
_PARTITIONS = frozenset({"runs", "grid", "stripes", "voronoi", "rings", "gaps"})
# From here on float32 cannot tell this label from the next.
_FIRST_INEXACT = 2**24


def make_labels(kind: str, shape: tuple[int, int], count: int, hole: int, variant: int, seed: int) -> np.ndarray:
    """Labels (H, W) int64 of ``count`` segments; 0 is in none.

    ``count`` is at most H * W. ``hole`` numbers one more segment, whose pixels then are in none: for the kinds that would
    leave none out, 1 to ``count`` + 1; 0 for no hole.
    """
    if count == 0:
        return np.zeros(shape, dtype=np.int64)
    if count == shape[0] * shape[1] or kind not in _PARTITIONS:
        hole = 0
    rng = np.random.default_rng(seed)
    labels = _MAKE[kind](shape, count + (hole > 0), variant, rng).astype(np.int64).reshape(shape)
    if hole:
        label = np.unique(labels)[hole - 1]
        labels[labels == label] = 0
        if kind != "gaps":
            labels[labels > label] -= 1
    return labels


def _split(levels: np.ndarray, count: int) -> np.ndarray:
    """Cut levels 0, 1, ... into ``count`` groups, alike in levels; or in pixels, where there are too few levels."""
    levels = levels.ravel()
    extent = int(levels.max()) + 1
    if count > extent:
        order = np.argsort(levels, kind="stable")
        levels, extent = np.empty_like(levels), levels.size
        levels[order] = np.arange(extent)
    return levels * count // extent + 1


def _runs(shape: tuple[int, int], count: int, variant: int, rng: np.random.Generator) -> np.ndarray:
    pixels = shape[0] * shape[1]
    if variant % 2 == 0:
        return _split(np.arange(pixels), count)
    starts = np.zeros(pixels, dtype=np.int64)
    starts[[0, *(rng.choice(pixels - 1, count - 1, replace=False) + 1 if count > 1 else ())]] = 1
    return np.cumsum(starts)


def _grid(shape: tuple[int, int], count: int, variant: int, rng: np.random.Generator) -> np.ndarray:
    height, width = shape
    least = -(-count // height)
    columns = least + variant % (min(count, width) - least + 1)
    rows = -(-count // columns)
    cells = (np.arange(height)[:, None] * rows // height) * columns + np.arange(width) * columns // width
    return np.minimum(cells, count - 1) + 1


def _stripes(shape: tuple[int, int], count: int, variant: int, rng: np.random.Generator) -> np.ndarray:
    rows, columns = np.indices(shape)
    return _split((columns, rows, rows + columns)[variant % 3], count)


def _voronoi(shape: tuple[int, int], count: int, variant: int, rng: np.random.Generator) -> np.ndarray:
    centres = rng.choice(shape[0] * shape[1], count, replace=False)
    rows, columns = np.divmod(centres, shape[1])
    down = (np.arange(shape[0])[:, None] - rows) ** 2
    across = (np.arange(shape[1])[:, None] - columns) ** 2
    return np.argmin(down[:, None] + across[None], axis=-1) + 1


def _blobs(shape: tuple[int, int], count: int, variant: int, rng: np.random.Generator) -> np.ndarray:
    height, width = shape
    labels = np.zeros(shape, dtype=np.int64)
    centres = rng.choice(height * width, count, replace=False)
    radii = rng.random(count) * max(height, width) / 2
    down, across = np.arange(height)[:, None], np.arange(width)
    for label, (centre, radius) in enumerate(zip(centres, radii, strict=True), start=1):
        row, column = divmod(int(centre), width)
        labels[(down - row) ** 2 + (across - column) ** 2 <= radius**2] = label
    # A blob that others cover still shows at its centre.
    labels.ravel()[centres] = np.arange(1, count + 1)
    return labels


def _rings(shape: tuple[int, int], count: int, variant: int, rng: np.random.Generator) -> np.ndarray:
    return _split(_depth(shape), count)


def _borders(shape: tuple[int, int], count: int, variant: int, rng: np.random.Generator) -> np.ndarray:
    rows, columns = np.indices(shape)
    angle = np.arctan2(rows - (shape[0] - 1) / 2, columns - (shape[1] - 1) / 2).ravel()
    inside = (_depth(shape) > 0).ravel()
    # Around the border first; only a number of segments above its pixels goes on inside.
    order = np.lexsort((angle, inside))
    used = max(int((~inside).sum()), count)
    labels = np.zeros(shape[0] * shape[1], dtype=np.int64)
    labels[order[:used]] = np.arange(used) * count // used + 1
    return labels


def _single_pixels(shape: tuple[int, int], count: int, variant: int, rng: np.random.Generator) -> np.ndarray:
    labels = np.zeros(shape[0] * shape[1], dtype=np.int64)
    labels[rng.choice(labels.size, count, replace=False)] = np.arange(1, count + 1)
    return labels


def _gaps(shape: tuple[int, int], count: int, variant: int, rng: np.random.Generator) -> np.ndarray:
    steps = rng.choice([1, 6, 293, 69_700], count)
    steps[0] += 6
    names = np.cumsum(steps)
    if variant % 2 == 1 and count > 1 and names[-1] < _FIRST_INEXACT:
        names[-2:] = _FIRST_INEXACT, _FIRST_INEXACT + 1
    return names[_split(np.arange(shape[0] * shape[1]), count) - 1]


def _per_pixel(shape: tuple[int, int], count: int, variant: int, rng: np.random.Generator) -> np.ndarray:
    return np.arange(1, count + 1)


def _depth(shape: tuple[int, int]) -> np.ndarray:
    """How far a pixel is from the picture's border."""
    rows, columns = np.indices(shape)
    return np.minimum(np.minimum(rows, shape[0] - 1 - rows), np.minimum(columns, shape[1] - 1 - columns))


_MAKE: dict[str, Callable[[tuple[int, int], int, int, np.random.Generator], np.ndarray]] = {
    "runs": _runs,
    "grid": _grid,
    "stripes": _stripes,
    "voronoi": _voronoi,
    "blobs": _blobs,
    "rings": _rings,
    "borders": _borders,
    "single_pixels": _single_pixels,
    "gaps": _gaps,
    "per_pixel": _per_pixel,
}
