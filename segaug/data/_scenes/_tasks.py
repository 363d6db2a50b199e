"""The tasks, and the layout of a scene: which objects, how large, where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from segaug.data._scenes._shapes import KINDS, REACH
from segaug.data._scenes._stream import Stream

__all__ = ["EVERYWHERE", "Layout", "REGIONS", "SceneObject", "TASKS", "place"]

# Objects may come as close as this share of the sum of their radii: close enough to overlap, far enough apart to
# stay recognisable.
_CLOSENESS = 0.68


class Layout(NamedTuple):
    """How large objects are, and where their centres may be; lengths are shares of the canvas's side."""

    scale: float = 1.0
    x: tuple[float, float] = (0.0, 1.0)
    y: tuple[float, float] = (0.0, 1.0)


EVERYWHERE = Layout()
REGIONS = {
    "left": Layout(x=(0.0, 0.5)),
    "right": Layout(x=(0.5, 1.0)),
    "top": Layout(y=(0.0, 0.5)),
    "bottom": Layout(y=(0.5, 1.0)),
}


@dataclass
class SceneObject:
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
        return self.radius * REACH[self.kind]


def _closeness(a: SceneObject, b: SceneObject) -> float:
    # The smallest object overlaps nothing: it has no pixel to spare, and a bite taken out of the largest one would
    # show inside the patch on which side the smallest one is.
    return 1.2 if "smallest" in (a.role, b.role) else _CLOSENESS


def _clear(candidate: SceneObject, others: Sequence[SceneObject]) -> bool:
    for other in others:
        gap = _closeness(candidate, other) * (candidate.radius + other.radius)
        dx, dy = candidate.x - other.x, candidate.y - other.y
        if dx * dx + dy * dy < gap * gap:
            return False
    return True


def _within(low: float, high: float, bounds: tuple[float, float]) -> tuple[float, float]:
    return max(low, bounds[0]), min(high, bounds[1])


def place(objects: Sequence[SceneObject], stream: Stream, margin: float, layout: Layout = EVERYWHERE) -> bool:
    """Gives each object that has no place one inside the canvas; False if one finds none."""
    placed = [item for item in objects if item.placed]
    for item in objects:
        if item.placed:
            continue
        low, high = item.reach + margin, 1 - item.reach - margin
        (left, right), (top, bottom) = _within(low, high, layout.x), _within(low, high, layout.y)
        if left > right or top > bottom:
            return False
        for _ in range(40):
            item.x, item.y = stream.uniform(left, right), stream.uniform(top, bottom)
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


def _plan_count(stream: Stream) -> _Plan:
    # The total is drawn apart from the answer: counting all objects must not help.
    return _Plan(stream.integer(0, 4), (stream.integer(6, 9),))


def _draw_count(plan: _Plan, stream: Stream, layout: Layout) -> list[SceneObject]:
    others = [kind for kind in KINDS if kind != "star"]
    kinds = ["star"] * plan.target + [stream.choice(others) for _ in range(plan.counts[0] - plan.target)]
    return [SceneObject(kind, layout.scale * stream.uniform(0.085, 0.125)) for kind in kinds]


_MAJORITY_KINDS = ("disk", "square", "triangle", "star")


def _plan_majority(stream: Stream) -> _Plan:
    target = stream.integer(0, len(_MAJORITY_KINDS) - 1)
    while True:
        most = stream.integer(3, 4)
        counts = [stream.integer(0, most - 1) for _ in _MAJORITY_KINDS]
        counts[target] = most
        if 6 <= sum(counts) <= 9:
            return _Plan(target, tuple(counts))


def _draw_majority(plan: _Plan, stream: Stream, layout: Layout) -> list[SceneObject]:
    kinds = [kind for kind, count in zip(_MAJORITY_KINDS, plan.counts, strict=True) for _ in range(count)]
    return [SceneObject(kind, layout.scale * stream.uniform(0.085, 0.125)) for kind in kinds]


def _plan_relation(stream: Stream) -> _Plan:
    return _Plan(stream.integer(0, 1), (stream.integer(2, 5),))


def _draw_relation(plan: _Plan, stream: Stream, layout: Layout) -> list[SceneObject]:
    scale = layout.scale
    largest = SceneObject(stream.choice(KINDS), scale * stream.uniform(0.19, 0.22), role="largest")
    smallest = SceneObject(stream.choice(KINDS), scale * stream.uniform(0.062, 0.07), role="smallest")
    # Near enough for noise on the boxes to hide the answer, far enough for the eye to see it. The point midway between
    # the two has the same range for both answers, so that neither object's own place is worth much.
    apart = stream.uniform(0.08, 0.22)
    low = largest.reach + 0.02
    left, right = _within(low, 1 - low, layout.x)
    top, bottom = _within(low, 1 - low, layout.y)
    small_top, small_bottom = _within(smallest.reach + 0.02, 0.98 - smallest.reach, layout.y)
    middle_x = stream.uniform(left + apart / 2, right - apart / 2)
    offset = apart / 2 if plan.target == 1 else -apart / 2
    largest.x, smallest.x = middle_x - offset, middle_x + offset
    largest.y = stream.uniform(top, bottom)
    smallest.y = stream.uniform(small_top, small_bottom)
    fits = right - left >= apart and top <= bottom and small_top <= small_bottom
    if fits and _clear(smallest, [largest]):
        largest.placed = smallest.placed = True
    middle = [SceneObject(stream.choice(KINDS), scale * stream.uniform(0.1, 0.118)) for _ in range(plan.counts[0])]
    return [largest, smallest, *middle]


_TURNS = ((-1, 0), (1, 0), (0, -1), (0, 1))  # left, right, up, down; y points down


def _plan_orientation(stream: Stream) -> _Plan:
    return _Plan(stream.integer(0, 3), (stream.integer(2, 4), stream.integer(2, 4)))


def _draw_orientation(plan: _Plan, stream: Stream, layout: Layout) -> list[SceneObject]:
    # The distractors look the same from all four sides, so they cannot tell which way is up.
    scale, turn = layout.scale, _TURNS[plan.target]
    arrows = [SceneObject("arrow", scale * stream.uniform(0.09, 0.125), turn) for _ in range(plan.counts[0])]
    others = [
        SceneObject(stream.choice(("disk", "square", "ring", "cross")), scale * stream.uniform(0.085, 0.125))
        for _ in range(plan.counts[1])
    ]
    return arrows + others


class _Task(NamedTuple):
    classes: tuple[str, ...]
    question: str
    plan: Callable[[Stream], _Plan]
    draw: Callable[[_Plan, Stream, Layout], list[SceneObject]]


# A task's place in this table is part of its items' random key: add at the end only.
TASKS = {
    "count": _Task(("0", "1", "2", "3", "4"), "How many stars are there?", _plan_count, _draw_count),
    "majority": _Task(_MAJORITY_KINDS, "Which kind is the most frequent?", _plan_majority, _draw_majority),
    "relation": _Task(
        ("no", "yes"), "Is the largest object left of the smallest?", _plan_relation, _draw_relation
    ),
    "orientation": _Task(
        ("left", "right", "up", "down"), "Which way do the arrows point?", _plan_orientation, _draw_orientation
    ),
}  # fmt: skip
