"""The objects' shapes: x to the right, y down, sized so that equal radii cover about equal areas."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from segaug.data._scenes._stream import Floats

__all__ = ["KINDS", "REACH", "TABLE_EXTENT", "TABLE_SIDE", "TABLE_STEPS_PER_UNIT", "distance_tables"]


def _scaled(points: Sequence[tuple[float, float]], factor: float) -> tuple[tuple[float, float], ...]:
    return tuple((x * factor, y * factor) for x, y in points)


# The cosines and sines are written out, because a computed one may differ in its last bit.
_POLYGONS: dict[str, tuple[tuple[float, float], ...]] = {
    "square": _scaled([(-1, -1), (1, -1), (1, 1), (-1, 1)], 0.8),
    # Centred in its box rather than on its centroid, so that the box's centre is where it was placed.
    "triangle": _scaled([(0, -0.75), (0.8660254, 0.75), (-0.8660254, 0.75)], 1.25),
    "star": _scaled(
        [
            (0.0, -1.0), (0.27334331, -0.37622478), (0.95105652, -0.30901699), (0.44227877, 0.14370509),
            (0.58778525, 0.80901699), (0.0, 0.46503940), (-0.58778525, 0.80901699), (-0.44227877, 0.14370509),
            (-0.95105652, -0.30901699), (-0.27334331, -0.37622478),
        ],
        1.25,
    ),
    "cross": _scaled(
        [
            (-0.38, -1), (0.38, -1), (0.38, -0.38), (1, -0.38), (1, 0.38), (0.38, 0.38),
            (0.38, 1), (-0.38, 1), (-0.38, 0.38), (-1, 0.38), (-1, -0.38), (-0.38, -0.38),
        ],
        1.0,
    ),
    "arrow": _scaled(
        [(1, 0), (0.05, 0.78), (0.05, 0.28), (-1, 0.28), (-1, -0.28), (0.05, -0.28), (0.05, -0.78)],
        1.3,
    ),
}  # fmt: skip
_DISKS = {"disk": (0.0, 0.9), "ring": (0.5, 1.02)}  # inner and outer radius

KINDS = ("disk", "square", "triangle", "star", "ring", "cross")
_TABLE_KINDS = (*KINDS, "arrow")
# The farthest point of each from its centre.
REACH = {
    "disk": 0.9,
    "square": 1.1314,
    "triangle": 1.432,
    "star": 1.25,
    "ring": 1.02,
    "cross": 1.0698,
    "arrow": 1.3501,
}

TABLE_EXTENT = 1.75
TABLE_STEPS_PER_UNIT = 96
TABLE_SIDE = int(2 * TABLE_EXTENT * TABLE_STEPS_PER_UNIT)


def _polygon_distance(
    points: Sequence[tuple[float, float]], x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
) -> npt.NDArray[Any]:
    """Signed distance to a polygon's outline, negative inside: the nearest edge, and the even-odd rule."""
    nearest = np.full(np.broadcast_shapes(x.shape, y.shape), np.inf)
    inside = np.zeros(nearest.shape, dtype=bool)
    for (ax, ay), (bx, by) in zip(points, [*points[1:], points[0]], strict=True):
        ex, ey = bx - ax, by - ay
        along = ((x - ax) * ex + (y - ay) * ey) / (ex * ex + ey * ey)
        along = np.clip(along, 0.0, 1.0)
        px, py = x - ax - along * ex, y - ay - along * ey
        nearest = np.minimum(nearest, px * px + py * py)
        if ey != 0:
            inside ^= ((y < ay) != (y < by)) & (x < ax + (y - ay) * (ex / ey))
    distance = np.sqrt(nearest)
    return np.where(inside, -distance, distance)


@lru_cache(maxsize=1)
def distance_tables() -> dict[str, Floats]:
    """Per kind, the signed distance to its outline at radius 1 on a fine grid (rows are y).

    A table turns every shape into one gather, whatever its outline costs.
    """
    at = (np.arange(TABLE_SIDE) + 0.5) / TABLE_STEPS_PER_UNIT - TABLE_EXTENT
    x, y = at[None, :], at[:, None]
    tables = {}
    for kind in _TABLE_KINDS:
        if kind in _DISKS:
            inner, outer = _DISKS[kind]
            radius = np.sqrt(x * x + y * y)
            distance = np.maximum(radius - outer, inner - radius if inner > 0 else -np.inf)
        else:
            distance = _polygon_distance(_POLYGONS[kind], x, y)
        table = distance.astype(np.float32)
        table.flags.writeable = False
        tables[kind] = table
    return tables
