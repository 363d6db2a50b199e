"""Drawn scenes with their true segments: data to train and to break a model on, with nothing to download.

An item must be the same on every machine, for ever, so this file keeps three rules:

- Random numbers come from the raw 64-bit output of ``PCG64``. NumPy promises that this stream never changes; it
  makes no such promise for the distributions of ``numpy.random.Generator``.
- Arithmetic is ``+ - * /``, ``sqrt`` and comparisons, one NumPy call each. IEEE 754 fixes their last bit. ``sin``,
  ``exp`` and the like differ between C libraries, and sums or matrix products between processors; one differing bit
  can turn a pixel. Rotations come from the rational points of the circle instead.
- Every item has a stream of its own, keyed by (seed, task, index).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset
from torchvision import tv_tensors

from segaug._checks import check_choice, check_int, describe
from segaug.structures import SegmentedImage, SegmentMap

_Floats = npt.NDArray[np.float32]

_MIN_SIZE = 64
_MIN_VISIBLE_PIXELS = 30
_MIN_VISIBLE_FRACTION = 0.6
# Objects may come as close as this share of the sum of their radii: close enough to overlap, far enough apart to
# stay recognisable.
_CLOSENESS = 0.68


# ------------------------------------------------------------------------------------------------------------------
# Random numbers
# ------------------------------------------------------------------------------------------------------------------


class _Stream:
    """Uniform draws from the raw output of PCG64."""

    def __init__(self, seed: int, task: int, index: int) -> None:
        # Fixed-width words: SeedSequence joins the words of its integers, so (2**32, 1) and (0, 1, 1) would collide.
        words = [seed & 0xFFFFFFFF, seed >> 32, task, index]
        self._bits = np.random.PCG64(np.random.SeedSequence(words))
        self._buffer: list[int] = []

    def unit(self) -> float:
        """A float in [0, 1), a multiple of 2**-53."""
        if not self._buffer:
            self._buffer = self._bits.random_raw(256).tolist()
        return (self._buffer.pop() >> 11) * 2.0**-53

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self.unit()

    def integer(self, low: int, high: int) -> int:
        """An integer in [low, high], both ends included."""
        return low + int((high - low + 1) * self.unit())

    def choice(self, options: Sequence[str]) -> str:
        return options[self.integer(0, len(options) - 1)]

    def shuffle(self, items: list[_Object]) -> None:
        for last in range(len(items) - 1, 0, -1):
            other = self.integer(0, last)
            items[last], items[other] = items[other], items[last]

    def centred(self, *shape: int) -> _Floats:
        """An array uniform in [-0.5, 0.5)."""
        raw = self._bits.random_raw(int(np.prod(shape))).reshape(shape)
        return (raw >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24) - np.float32(0.5)

    def noise(self, *shape: int) -> _Floats:
        """An array of mean 0 and standard deviation 1: sums of two bytes, so the density is a triangle."""
        count = int(np.prod(shape))
        # Little-endian by name, so that the bytes come in the same order on every processor.
        raw = self._bits.random_raw(-(-count // 4)).astype("<u8").view(np.uint8)
        total = raw[0::2].astype(np.int16) + raw[1::2]
        # Each byte has variance (256**2 - 1) / 12, so the sum of two has standard deviation 104.51.
        return (total[:count].reshape(shape).astype(np.float32) - np.float32(255.0)) * np.float32(1 / 104.51)


# ------------------------------------------------------------------------------------------------------------------
# Shapes: x to the right, y down, sized so that equal radii cover about equal areas
# ------------------------------------------------------------------------------------------------------------------


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

_KINDS = ("disk", "square", "triangle", "star", "ring", "cross")
_TABLE_KINDS = (*_KINDS, "arrow")
# The farthest point of each from its centre.
_REACH = {
    "disk": 0.9,
    "square": 1.1314,
    "triangle": 1.432,
    "star": 1.25,
    "ring": 1.02,
    "cross": 1.0698,
    "arrow": 1.3501,
}

_TABLE_EXTENT = 1.75
_TABLE_STEPS_PER_UNIT = 96
_TABLE_SIDE = int(2 * _TABLE_EXTENT * _TABLE_STEPS_PER_UNIT)


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
def _distance_tables() -> dict[str, _Floats]:
    """Per kind, the signed distance to its outline at radius 1 on a fine grid (rows are y).

    A table turns every shape into one gather, whatever its outline costs.
    """
    at = (np.arange(_TABLE_SIDE) + 0.5) / _TABLE_STEPS_PER_UNIT - _TABLE_EXTENT
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


# ------------------------------------------------------------------------------------------------------------------
# Layout: which objects, how large, where
# ------------------------------------------------------------------------------------------------------------------


@dataclass
class _Object:
    """One object of a scene; lengths are shares of the canvas's side."""

    kind: str
    radius: float
    turn: tuple[int, int] = (1, 0)  # cosine and sine of a turn by a multiple of 90 degrees
    role: str = ""
    x: float = 0.5
    y: float = 0.5
    placed: bool = False

    @property
    def reach(self) -> float:
        return self.radius * _REACH[self.kind]


def _closeness(a: _Object, b: _Object) -> float:
    # The smallest object overlaps nothing: it has no pixel to spare, and a bite taken out of the largest one would
    # show inside the patch on which side the smallest one is.
    return 1.2 if "smallest" in (a.role, b.role) else _CLOSENESS


def _clear(candidate: _Object, others: Sequence[_Object]) -> bool:
    for other in others:
        gap = _closeness(candidate, other) * (candidate.radius + other.radius)
        dx, dy = candidate.x - other.x, candidate.y - other.y
        if dx * dx + dy * dy < gap * gap:
            return False
    return True


def _place(objects: Sequence[_Object], stream: _Stream, margin: float) -> bool:
    """Gives each object that has no place one inside the canvas; False if one finds none."""
    placed = [item for item in objects if item.placed]
    for item in objects:
        if item.placed:
            continue
        low, high = item.reach + margin, 1 - item.reach - margin
        for _ in range(40):
            item.x, item.y = stream.uniform(low, high), stream.uniform(low, high)
            if _clear(item, placed):
                break
        else:
            return False
        item.placed = True
        placed.append(item)
    return True


class _Plan(NamedTuple):
    """What is drawn before the layout and kept when a layout fails, so that failures cannot bias it."""

    target: int
    counts: tuple[int, ...]


def _plan_count(stream: _Stream) -> _Plan:
    # The total is drawn apart from the answer: counting all objects must not help.
    return _Plan(stream.integer(0, 4), (stream.integer(6, 9),))


def _draw_count(plan: _Plan, stream: _Stream) -> list[_Object]:
    others = [kind for kind in _KINDS if kind != "star"]
    kinds = ["star"] * plan.target + [stream.choice(others) for _ in range(plan.counts[0] - plan.target)]
    return [_Object(kind, stream.uniform(0.085, 0.125)) for kind in kinds]


_MAJORITY_KINDS = ("disk", "square", "triangle", "star")


def _plan_majority(stream: _Stream) -> _Plan:
    target = stream.integer(0, len(_MAJORITY_KINDS) - 1)
    while True:
        most = stream.integer(3, 4)
        counts = [stream.integer(0, most - 1) for _ in _MAJORITY_KINDS]
        counts[target] = most
        if 6 <= sum(counts) <= 9:
            return _Plan(target, tuple(counts))


def _draw_majority(plan: _Plan, stream: _Stream) -> list[_Object]:
    kinds = [kind for kind, count in zip(_MAJORITY_KINDS, plan.counts, strict=True) for _ in range(count)]
    return [_Object(kind, stream.uniform(0.085, 0.125)) for kind in kinds]


def _plan_relation(stream: _Stream) -> _Plan:
    return _Plan(stream.integer(0, 1), (stream.integer(2, 5),))


def _draw_relation(plan: _Plan, stream: _Stream) -> list[_Object]:
    largest = _Object(stream.choice(_KINDS), stream.uniform(0.19, 0.22), role="largest")
    smallest = _Object(stream.choice(_KINDS), stream.uniform(0.062, 0.07), role="smallest")
    # Near enough for noise on the boxes to hide the answer, far enough for the eye to see it. The point midway between
    # the two has the same range for both answers, so that neither object's own place is worth much.
    apart = stream.uniform(0.08, 0.22)
    low = largest.reach + 0.02
    middle_x = stream.uniform(low + apart / 2, 1 - low - apart / 2)
    offset = apart / 2 if plan.target == 1 else -apart / 2
    largest.x, smallest.x = middle_x - offset, middle_x + offset
    largest.y = stream.uniform(low, 1 - low)
    smallest.y = stream.uniform(smallest.reach + 0.02, 0.98 - smallest.reach)
    if _clear(smallest, [largest]):
        largest.placed = smallest.placed = True
    middle = [_Object(stream.choice(_KINDS), stream.uniform(0.1, 0.118)) for _ in range(plan.counts[0])]
    return [largest, smallest, *middle]


_TURNS = ((-1, 0), (1, 0), (0, -1), (0, 1))  # left, right, up, down; y points down


def _plan_orientation(stream: _Stream) -> _Plan:
    return _Plan(stream.integer(0, 3), (stream.integer(2, 4), stream.integer(2, 4)))


def _draw_orientation(plan: _Plan, stream: _Stream) -> list[_Object]:
    # The distractors look the same from all four sides, so they cannot tell which way is up.
    arrows = [_Object("arrow", stream.uniform(0.09, 0.125), _TURNS[plan.target]) for _ in range(plan.counts[0])]
    others = [
        _Object(stream.choice(("disk", "square", "ring", "cross")), stream.uniform(0.085, 0.125))
        for _ in range(plan.counts[1])
    ]
    return arrows + others


class _Task(NamedTuple):
    classes: tuple[str, ...]
    question: str
    plan: Callable[[_Stream], _Plan]
    draw: Callable[[_Plan, _Stream], list[_Object]]


# A task's place in this table is part of its items' random key: add at the end only.
_TASKS = {
    "count": _Task(("0", "1", "2", "3", "4"), "How many stars are there?", _plan_count, _draw_count),
    "majority": _Task(_MAJORITY_KINDS, "Which kind is the most frequent?", _plan_majority, _draw_majority),
    "relation": _Task(
        ("no", "yes"), "Is the largest object left of the smallest?", _plan_relation, _draw_relation
    ),
    "orientation": _Task(
        ("left", "right", "up", "down"), "Which way do the arrows point?", _plan_orientation, _draw_orientation
    ),
}  # fmt: skip


# ------------------------------------------------------------------------------------------------------------------
# Rendering
# ------------------------------------------------------------------------------------------------------------------


class _Stamp(NamedTuple):
    """One object's window on the canvas; `u` and `v` are its own coordinates, `distance` is in pixels."""

    rows: slice
    columns: slice
    distance: _Floats
    u: _Floats
    v: _Floats


def _stamp(item: _Object, stream: _Stream, size: int) -> _Stamp:
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
    column = ((u + np.float32(_TABLE_EXTENT)) * np.float32(_TABLE_STEPS_PER_UNIT)).astype(np.int32)
    row = ((v + np.float32(_TABLE_EXTENT)) * np.float32(_TABLE_STEPS_PER_UNIT)).astype(np.int32)
    flat = row.clip(0, _TABLE_SIDE - 1) * _TABLE_SIDE + column.clip(0, _TABLE_SIDE - 1)
    distance = _distance_tables()[item.kind].ravel()[flat] * np.float32(radius)
    return _Stamp(slice(top, bottom), slice(left, right), distance, u, v)


def _label(stamps: Sequence[_Stamp], size: int) -> npt.NDArray[np.int64] | None:
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


def _relation_holds(labels: npt.NDArray[np.int64], objects: Sequence[_Object], target: int) -> bool:
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


def _interpolate(grid: _Floats, size: int) -> _Floats:
    """(C, G, G) values to (C, size, size), smoothly."""
    cells = grid.shape[-1] - 1
    at = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(cells) / np.float32(size)
    low = at.astype(np.int64)
    f = at - low.astype(np.float32)
    f = f * f * (np.float32(3) - np.float32(2) * f)
    rows = grid[:, low] + (grid[:, low + 1] - grid[:, low]) * f[:, None]
    left = rows[:, :, low]
    return left + (rows[:, :, low + 1] - left) * f


def _background(stream: _Stream, size: int, base: _Colour) -> _Floats:
    canvas = np.empty((3, size, size), dtype=np.float32)
    canvas[:] = np.asarray(base, dtype=np.float32)[:, None, None]
    strength = stream.uniform(0.15, 0.35)
    for cells, share in ((4, 1.0), (12, 0.7)):
        grey = _interpolate(stream.centred(1, cells + 1, cells + 1), size)
        canvas += grey * np.float32(strength * share)
    canvas += _interpolate(stream.centred(3, 5, 5), size) * np.float32(0.12)
    return canvas


def _texture(stamp: _Stamp, stream: _Stream) -> _Floats | None:
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


def _paint(stamps: Sequence[_Stamp], stream: _Stream, size: int) -> npt.NDArray[np.uint8]:
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


class _Scene(NamedTuple):
    image: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    target: int
    objects: list[_Object]


def _draw_scene(name: str, size: int, seed: int, index: int) -> _Scene:
    task = _TASKS[name]
    stream = _Stream(seed, list(_TASKS).index(name), index)
    plan = task.plan(stream)
    while True:
        objects = task.draw(plan, stream)
        if name == "relation" and not objects[0].placed:
            continue
        if not _place(objects, stream, 1.5 / size):
            continue
        stream.shuffle(objects)
        stamps = [_stamp(item, stream, size) for item in objects]
        labels = _label(stamps, size)
        if labels is None or (name == "relation" and not _relation_holds(labels, objects, plan.target)):
            continue
        return _Scene(_paint(stamps, stream, size), labels, plan.target, objects)


def scene_target(scenes: Scenes, index: int) -> int:
    """The answer of scene `index`, without drawing it."""
    task = _TASKS[scenes.task]
    return task.plan(_Stream(scenes.seed, list(_TASKS).index(scenes.task), index)).target


# ------------------------------------------------------------------------------------------------------------------
# The dataset
# ------------------------------------------------------------------------------------------------------------------


class Scenes(Dataset[tuple[SegmentedImage, int]]):
    """Drawn scenes with their true segments.

    Each scene shows overlapping objects of several kinds, sizes and colours on a textured background, under uneven
    light and with noise. Item ``i`` depends on `task`, `size`, `seed` and ``i`` alone: it is the same on every
    machine and for every `n`. For training and validation data take two seeds.

    The tasks, with the classes equally likely:

    - ``"count"``: how many stars are there, 0 to 4, among 6 to 9 objects? The total tells nothing.
    - ``"majority"``: which of disk, square, triangle and star is the most frequent? One always is.
    - ``"relation"``: is the largest object left of the smallest? The objects themselves tell nothing, only their
      places do, so noise on the boxes costs accuracy.
    - ``"orientation"``: which way do the arrows point? Left, right, up or down, all of them the same way; a flip
      turns one answer into another, so flips cost accuracy.

    Of every object at least 60 % of its pixels, and 30 pixels, can be seen, and no object leaves the canvas.

    Args:
        task: ``"count"``, ``"majority"``, ``"relation"`` or ``"orientation"``.
        n: number of scenes, at least 1.
        size: height and width of the pictures in pixels, at least 64.
        seed: from 0 to 2**64 - 1.

    Attributes:
        task: as given.
        n: as given.
        size: as given.
        seed: as given.
        classes: the answers' names; a target is an index into them.
        question: the task in one sentence.

    Raises:
        TypeError: if `n`, `size` or `seed` is not an int.
        ValueError: if an argument is not among the allowed values.

    Example:
        >>> from segaug.data import Scenes
        >>> scenes = Scenes("orientation", n=100)
        >>> scene, target = scenes[0]
        >>> scene.image.shape, scene.image.dtype, scene.segments.shape
        (torch.Size([3, 96, 96]), torch.uint8, torch.Size([96, 96]))
        >>> scenes.question, scenes.classes
        ('Which way do the arrows point?', ['left', 'right', 'up', 'down'])
    """

    def __init__(self, task: str, n: int, size: int = 96, seed: int = 0) -> None:
        self.task = check_choice("task", task, tuple(_TASKS))
        self.n = check_int("n", n, minimum=1)
        self.size = check_int("size", size, minimum=_MIN_SIZE)
        self.seed = check_int("seed", seed, minimum=0)
        # The item's random key has 32 bits for the index and 64 for the seed.
        if self.n > 2**32:
            raise ValueError(f"n must be at most 2**32, got {n}")
        if self.seed >= 2**64:
            raise ValueError(f"seed must be below 2**64, got {seed}")

    @property
    def classes(self) -> list[str]:
        """The answers' names; a target is an index into them."""
        return list(_TASKS[self.task].classes)

    @property
    def question(self) -> str:
        """The task in one sentence."""
        return _TASKS[self.task].question

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> tuple[SegmentedImage, int]:
        """Draws scene `index`.

        Args:
            index: from 0 to ``len(self) - 1``.

        Returns:
            The scene, a uint8 image of shape (3, size, size) and an int64 map of shape (size, size) with one label
            for each object in the order they were drawn (later ones in front), and the target.

        Raises:
            IndexError: if `index` is negative or too large.
            TypeError: if `index` is not an integer.
        """
        # Samplers may yield NumPy or torch integers.
        try:
            place = operator.index(index)
        except TypeError:
            raise TypeError(f"index must be an int, got {describe(index)}") from None
        if not 0 <= place < self.n:
            raise IndexError(f"index must be from 0 to {self.n - 1}, got {place}")
        scene = _draw_scene(self.task, self.size, self.seed, place)
        image = tv_tensors.Image(torch.from_numpy(scene.image))
        return SegmentedImage(image, SegmentMap(torch.from_numpy(scene.labels))), scene.target

    def __repr__(self) -> str:
        return f"Scenes(task={self.task!r}, n={self.n}, size={self.size}, seed={self.seed})"
