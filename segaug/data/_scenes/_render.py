"""From objects to pixels and labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from segaug.data._scenes._shapes import TABLE_EXTENT, TABLE_SIDE, TABLE_STEPS_PER_UNIT, distance_tables
from segaug.data._scenes._stream import Floats, Stream
from segaug.data._scenes._tasks import SceneObject

__all__ = ["label", "paint", "relation_holds", "stamp"]

_MIN_VISIBLE_PIXELS = 30
_MIN_VISIBLE_FRACTION = 0.6


class _Stamp(NamedTuple):
    """One object's window on the canvas; `u` and `v` are its own coordinates, `distance` is in pixels."""

    rows: slice
    columns: slice
    distance: Floats
    u: Floats
    v: Floats


def stamp(item: SceneObject, stream: Stream, size: int) -> _Stamp:
    # A point of the circle with rational coordinates: a turn of up to 2 * arctan(0.13), about 15 degrees.
    t = stream.uniform(-0.13, 0.13)
    cos, sin = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    quarter_cos, quarter_sin = item.turn
    cos, sin = cos * quarter_cos - sin * quarter_sin, sin * quarter_cos + cos * quarter_sin
    radius, reach = item.radius * size, item.reach * size + 1.5
    cx, cy = item.x * size, item.y * size
    left, right = max(int(cx - reach), 0), min(int(cx + reach) + 1, size)
    top, bottom = max(int(cy - reach), 0), min(int(cy + reach) + 1, size)
    dx = ((np.arange(left, right) + (0.5 - cx)) / radius)[None, :]
    dy = ((np.arange(top, bottom) + (0.5 - cy)) / radius)[:, None]
    u = (cos * dx + sin * dy).astype(np.float32)
    v = (cos * dy - sin * dx).astype(np.float32)
    # Truncation is the floor here: a window's corners lie within the table, and `clip` catches a tiny object's.
    column = ((u + np.float32(TABLE_EXTENT)) * np.float32(TABLE_STEPS_PER_UNIT)).astype(np.int32)
    row = ((v + np.float32(TABLE_EXTENT)) * np.float32(TABLE_STEPS_PER_UNIT)).astype(np.int32)
    flat = row.clip(0, TABLE_SIDE - 1) * TABLE_SIDE + column.clip(0, TABLE_SIDE - 1)
    distance = distance_tables()[item.kind].ravel()[flat] * np.float32(radius)
    return _Stamp(slice(top, bottom), slice(left, right), distance, u, v)


def label(stamps: Sequence[_Stamp], size: int) -> npt.NDArray[np.int64] | None:
    """The label map, later objects in front; None if too little of one is left to see."""
    labels = np.zeros((size, size), dtype=np.int64)
    whole = []
    for label, stamp in enumerate(stamps, start=1):
        # Distance 0 is where an edge leaves half of a pixel covered.
        inside = stamp.distance < 0
        labels[stamp.rows, stamp.columns][inside] = label
        whole.append(int(np.count_nonzero(inside)))
    visible = np.bincount(labels.ravel(), minlength=len(stamps) + 1)[1:].tolist()
    for all_of_it, rest in zip(whole, visible, strict=True):
        if rest < _MIN_VISIBLE_PIXELS or rest < _MIN_VISIBLE_FRACTION * all_of_it:
            return None
    return labels


def relation_holds(labels: npt.NDArray[np.int64], objects: Sequence[SceneObject], target: int) -> bool:
    """Whether the visible pixels alone give the answer, clearly: by area and by box."""
    areas, boxes, centres, roles = [], [], [], {}
    for label, item in enumerate(objects, start=1):
        mask = labels == label
        x, y = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
        areas.append(int(np.count_nonzero(mask)))
        boxes.append(int((x[-1] - x[0] + 1) * (y[-1] - y[0] + 1)))
        centres.append(int(x[-1] + x[0] + 1) / 2)
        roles[item.role] = label - 1
    big, small = roles["largest"], roles["smallest"]
    for sizes, margin in ((areas, 1.4), (boxes, 1.3)):
        rest = [value for place, value in enumerate(sizes) if place not in (big, small)]
        if sizes[big] < margin * max(rest) or margin * sizes[small] > min(rest):
            return False
    apart = (centres[small] - centres[big]) / labels.shape[1]
    return (apart if target == 1 else -apart) >= 0.07


_Colour = tuple[float, float, float]


def _colour(hue: float, saturation: float, value: float) -> _Colour:
    """HSV in [0, 1] to RGB in [0, 1] (the hexcone of A. R. Smith, SIGGRAPH 1978)."""

    def channel(shift: float) -> float:
        k = hue * 6 + shift
        k = k - 6 if k >= 6 else k
        return value - value * saturation * max(0.0, min(k, 4 - k, 1.0))

    return channel(5), channel(3), channel(1)


def _unlike(colour: _Colour, other: _Colour) -> float:
    return sum(abs(a - b) for a, b in zip(colour, other, strict=True))


def _interpolate(grid: Floats, size: int) -> Floats:
    """(C, G, G) values to (C, size, size), smoothly."""
    cells = grid.shape[-1] - 1
    at = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(cells) / np.float32(size)
    low = at.astype(np.int64)
    f = at - low.astype(np.float32)
    f = f * f * (np.float32(3) - np.float32(2) * f)
    rows = grid[:, low] + (grid[:, low + 1] - grid[:, low]) * f[:, None]
    left = rows[:, :, low]
    return left + (rows[:, :, low + 1] - left) * f


def _background(stream: Stream, size: int, base: _Colour) -> Floats:
    canvas = np.empty((3, size, size), dtype=np.float32)
    canvas[:] = np.asarray(base, dtype=np.float32)[:, None, None]
    strength = stream.uniform(0.15, 0.35)
    for cells, share in ((4, 1.0), (12, 0.7)):
        grey = _interpolate(stream.centred(1, cells + 1, cells + 1), size)
        canvas += grey * np.float32(strength * share)
    canvas += _interpolate(stream.centred(3, 5, 5), size) * np.float32(0.12)
    return canvas


def _texture(stamp: _Stamp, stream: Stream) -> Floats | None:
    """Plain, striped or chequered: brightness factors by the object's own coordinates."""
    pattern = stream.integer(0, 2)
    period, phase, dark = stream.uniform(1.8, 3.2), stream.uniform(4, 6), stream.uniform(0.68, 0.85)
    along_u = stream.integer(0, 1) == 1
    if pattern == 0:
        return None
    first, second = (stamp.u, stamp.v) if along_u else (stamp.v, stamp.u)
    # The offset keeps the argument positive, where truncation is the floor.
    bands = (first * np.float32(period) + np.float32(phase + 4)).astype(np.int32)
    if pattern == 2:
        bands = bands + (second * np.float32(period) + np.float32(phase + 4)).astype(np.int32)
    return np.where((bands & 1) == 1, np.float32(dark), np.float32(1))


def paint(stamps: Sequence[_Stamp], stream: Stream, size: int) -> npt.NDArray[np.uint8]:
    base = _colour(stream.unit(), stream.uniform(0.0, 0.4), stream.uniform(0.25, 0.75))
    canvas = _background(stream, size, base)
    half = np.float32(0.5)
    for stamp in stamps:
        while True:
            colour = _colour(stream.unit(), stream.uniform(0.45, 1.0), stream.uniform(0.6, 1.0))
            if _unlike(colour, base) >= 0.7:
                break
        # A dark rim parts overlapping objects of like colours.
        shade = (stamp.distance * np.float32(-0.35) + half).clip(half, np.float32(1))
        texture = _texture(stamp, stream)
        if texture is not None:
            shade = shade * texture
        coverage = (half - stamp.distance).clip(np.float32(0), np.float32(1))
        window = canvas[:, stamp.rows, stamp.columns]
        window += coverage * (shade * np.asarray(colour, dtype=np.float32)[:, None, None] - window)
    # Light that falls off across the picture, then the camera's noise.
    slope_x, slope_y = stream.uniform(-0.5, 0.5), stream.uniform(-0.5, 0.5)
    at = ((np.arange(size) + 0.5) / size - 0.5).astype(np.float32)
    canvas *= np.float32(1) + (at[None, :] * np.float32(slope_x) + at[:, None] * np.float32(slope_y))
    canvas += stream.noise(3, size, size) * np.float32(stream.uniform(0.008, 0.04))
    return (canvas.clip(np.float32(0), np.float32(1)) * np.float32(255) + half).astype(np.uint8)
