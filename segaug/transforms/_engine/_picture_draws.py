"""What PerSegment draws for a picture: once for all colours, and for each segment, at its size, for anything else."""

from itertools import groupby
from typing import Any

import torch

from segaug.transforms._engine._containers import Choice, Gated, Sequence
from segaug.transforms._engine._lowering import Draw, Params
from segaug.transforms._engine._nodes import Node, Shape
from segaug.transforms._engine._picture import Picture
from segaug.transforms._engine._picture_rules import keeps_places
from segaug.transforms._random import bernoulli, seeds

__all__ = ["draw_for_picture", "draw_one", "split_runs"]


def split_runs(plan: Node) -> list[Node]:
    """Split the steps of a plan into stretches of colours, of others that move no pixels, and of those that may."""
    stretches = groupby(_steps(plan), lambda step: (step.is_color, keeps_places(step)))
    runs = [tuple(steps) for _, steps in stretches]
    return [steps[0] if len(steps) == 1 else Sequence(steps) for steps in runs]


def _steps(node: Node) -> list[Node]:
    if not isinstance(node, Sequence) or node.is_color:
        return [node]
    return [step for child in node.children for step in _steps(child)]


def draw_for_picture(plan: Gated, picture: Picture, generator: torch.Generator | None) -> Params:
    """Draw for every row of a picture: {"count": rows, "gate": (rows,) or None, "runs": one entry for each run}.

    The entry of a run of colours is its node's, with a row for every row of the picture. Of another run it is a list, with
    params for one segment, drawn for the size of its box, for each row; None for the background where pixels may move.
    """
    channels, height, width = picture.image.shape
    gate = None if plan.p >= 1.0 else bernoulli(plan.p, (picture.count,), generator)
    nodes = split_runs(plan.child)
    runs: list[Any] = []
    sizes: list[Shape | None] | None = None
    for i, node in enumerate(nodes):
        if node.is_color:
            runs.append(
                node.make_params(Draw(picture.count, channels, height, width, generator, True, picture.image.dtype))
            )
            continue
        if sizes is None:
            sizes = [(channels, tall, wide) for _, _, tall, wide in picture.boxes()]
        own: list[Any] = []
        for row, size in enumerate([(channels, height, width), *sizes]):
            try:
                own.append(draw_one(node, size, generator) if row or keeps_places(node) else None)
            except Exception as error:
                known = "" if size is None else f", of {size[1]} x {size[2]} pixels"
                error.add_note(f"raised while drawing for {picture.name(row)}{known}")
                raise
        runs.append(own)
        if any(not later.is_color for later in nodes[i + 1 :]):
            sizes = [
                None if size is None else _size_after(node, size, params)
                for size, params in zip(sizes, own[1:], strict=True)
            ]
    return {"count": picture.count, "gate": gate, "runs": runs}


def draw_one(node: Node, size: Shape | None, generator: torch.Generator | None) -> Params:
    """Draw for one segment, each step for the size that the one before leaves; a seed where that is not known yet."""
    if size is None:
        return {"later": int(seeds(1, generator))}
    if not isinstance(node, Sequence):
        return node.make_params(Draw(1, *size, generator, in_picture=True))
    children: list[Params] = []
    for i, child in enumerate(node.children):
        if i:
            # Not after the last: some steps are tried out for it.
            after = _size_after(node.children[i - 1], size, children[-1])
            if after is None:
                # What follows is drawn when its size is there.
                return {"children": children, "rest": seeds(1, generator)}
            size = after
        children.append(draw_one(child, size, generator))
    return {"children": children, "rest": None}


def _size_after(node: Node, size: Shape, params: Params) -> Shape | None:
    if isinstance(node, Sequence):
        if params["rest"] is not None:
            return None
        for child, own in zip(node.children, params["children"], strict=True):
            after = _size_after(child, size, own)
            if after is None:
                return None
            size = after
        return size
    if isinstance(node, Gated):
        is_open = params["gate"] is None or bool(params["gate"][0])
        return _size_after(node.child, size, params["child"]) if is_open else size
    if isinstance(node, Choice):
        key = int(params["choice"][0])
        return _size_after(node.children[key], size, params["children"][key])
    new = node.output_shape(size, in_picture=True)
    # Without a height or width: it could not be found out.
    return None if new is None or min(new) == 0 else new
