"""Nodes that hold others: a sequence, a gate, a choice, an order, each drawn for every segment by itself."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import permutations as all_permutations
from itertools import product
from typing import Any

import torch

from segaug.functional._color import PictureColors
from segaug.transforms._engine._lowering import Draw, Params
from segaug.transforms._engine._nodes import Node, Segments, Shape, put_back
from segaug.transforms._random import bernoulli, choices, permutations

__all__ = ["Choice", "Gated", "Order", "Sequence"]


@dataclass(frozen=True)
class Sequence(Node):
    """A ``Compose``."""

    children: tuple[Node, ...]

    @property
    def is_color(self) -> bool:  # type: ignore[override]
        return all(child.is_color for child in self.children)

    def make_params(self, draw: Draw) -> Params:
        params = []
        for child in self.children:
            params.append(child.make_params(draw))
            shape = child.output_shape((draw.channels, draw.height, draw.width), draw.in_picture)
            draw = replace(draw, channels=shape[0], height=shape[1], width=shape[2])
        return {"children": params}

    def output_shape(self, shape: Shape, in_picture: bool = False) -> Shape:
        for child in self.children:
            shape = child.output_shape(shape, in_picture)
        return shape

    def apply(self, segments: Segments, params: Params) -> tuple[torch.Tensor, torch.Tensor]:
        for child, own in zip(self.children, params["children"], strict=True):
            patches, alpha = child.apply(segments, own)
            segments = replace(segments, patches=patches, alpha=alpha)
        return segments.patches, segments.alpha

    def recolor(self, colors: PictureColors, params: Params) -> None:
        for child, own in zip(self.children, params["children"], strict=True):
            child.recolor(colors, own)

    def lowered(self) -> Iterator[tuple[str, str]]:
        for child in self.children:
            yield from child.lowered()

    def outcomes(self, shape: Shape) -> list[Params]:
        inside = []
        for child in self.children:
            inside.append(child.outcomes(shape))
            shape = child.output_shape(shape)
        return [{"children": list(picked)} for picked in product(*inside)]


@dataclass(frozen=True)
class Gated(Node):
    """A step that each segment takes with probability ``p``."""

    child: Node
    p: float

    @property
    def is_color(self) -> bool:  # type: ignore[override]
        return self.child.is_color

    def make_params(self, draw: Draw) -> Params:
        shape = (draw.channels, draw.height, draw.width)
        new = self.child.output_shape(shape, draw.in_picture)
        if self.p < 1.0 and new != shape and not draw.in_picture:
            raise ValueError(
                f"transform must give every segment the same size and channels: with p={self.p:g} some would become {new}, "
                f"the others stay {shape}"
            )
        # No draw where there is nothing to choose, so that p=1 leaves the stream to the transform alone.
        gate = None if self.p >= 1.0 else bernoulli(self.p, (draw.count,), draw.generator)
        return {"gate": gate, "child": self.child.make_params(draw)}

    def output_shape(self, shape: Shape, in_picture: bool = False) -> Shape:
        return self.child.output_shape(shape, in_picture)

    def apply(self, segments: Segments, params: Params) -> tuple[torch.Tensor, torch.Tensor]:
        if params["gate"] is None:
            return self.child.apply(segments, params["child"])
        chosen = params["gate"].to(segments.index.device)[segments.index].nonzero().squeeze(1)
        if not len(chosen):
            return segments.patches, segments.alpha
        patches, alpha = self.child.apply(segments.only(chosen), params["child"])
        return put_back(segments, chosen, patches, alpha)

    def recolor(self, colors: PictureColors, params: Params) -> None:
        if params["gate"] is None:
            self.child.recolor(colors, params["child"])
            return
        colors.on(params["gate"].to(colors.values.device), _recoloring(self.child, params["child"]))

    def lowered(self) -> Iterator[tuple[str, str]]:
        yield from self.child.lowered()

    def outcomes(self, shape: Shape) -> list[Params]:
        inside = self.child.outcomes(shape)
        if self.p >= 1.0:
            return [{"gate": None, "child": own} for own in inside]
        closed: list[Params] = [{"gate": torch.tensor([False]), "child": inside[0]}]
        return closed + [{"gate": torch.tensor([True]), "child": own} for own in inside if self.p > 0.0]


@dataclass(frozen=True)
class Choice(Node):
    """A ``RandomChoice``: each segment takes one of the children."""

    children: tuple[Node, ...]
    p: tuple[float, ...]

    @property
    def is_color(self) -> bool:  # type: ignore[override]
        return all(child.is_color for child in self.children)

    def make_params(self, draw: Draw) -> Params:
        self.output_shape((draw.channels, draw.height, draw.width), draw.in_picture)
        choice = choices(self.p, draw.count, draw.generator)
        return {"choice": choice, "children": [child.make_params(draw) for child in self.children]}

    def output_shape(self, shape: Shape, in_picture: bool = False) -> Shape:
        possible = {
            child.output_shape(shape, in_picture) for child, p in zip(self.children, self.p, strict=True) if p > 0
        }
        if len(possible) > 1 and not in_picture:
            raise ValueError(
                f"transform must give every segment the same size and channels: of {shape} RandomChoice would make one of "
                f"{', '.join(map(str, sorted(possible)))}"
            )
        return max(possible)

    def apply(self, segments: Segments, params: Params) -> tuple[torch.Tensor, torch.Tensor]:
        choice = params["choice"].to(segments.index.device)[segments.index]
        order = choice.argsort(stable=True)
        ends = torch.bincount(choice, minlength=len(self.children)).cumsum(0).tolist()
        parts = [
            child.apply(segments.only(order[begin:end]), own)
            for child, own, begin, end in zip(self.children, params["children"], [0, *ends], ends, strict=False)
            if end > begin
        ]
        if not parts:
            return segments.patches, segments.alpha
        back = order.argsort()
        patches, alpha = (torch.cat(layer).index_select(0, back) for layer in zip(*parts, strict=True))
        return patches, alpha

    def recolor(self, colors: PictureColors, params: Params) -> None:
        changes = {
            key: _recoloring(child, own)
            for key, (child, own) in enumerate(zip(self.children, params["children"], strict=True))
        }
        colors.on_groups(params["choice"].to(colors.values.device), changes)

    def lowered(self) -> Iterator[tuple[str, str]]:
        for child in self.children:
            yield from child.lowered()

    def outcomes(self, shape: Shape) -> list[Params]:
        inside = [child.outcomes(shape) for child in self.children]
        first = [own[0] for own in inside]
        return [
            {"choice": torch.tensor([key]), "children": [*first[:key], own, *first[key + 1 :]]}
            for key, p in enumerate(self.p)
            for own in inside[key]
            if p > 0
        ]


@dataclass(frozen=True)
class Order(Node):
    """A ``RandomOrder``: each segment takes all children, in its own order. The children keep the shape."""

    children: tuple[Node, ...]

    @property
    def is_color(self) -> bool:  # type: ignore[override]
        return all(child.is_color for child in self.children)

    def make_params(self, draw: Draw) -> Params:
        order = permutations(len(self.children), draw.count, draw.generator)
        return {"order": order, "children": [child.make_params(draw) for child in self.children]}

    def apply(self, segments: Segments, params: Params) -> tuple[torch.Tensor, torch.Tensor]:
        for step in params["order"].to(segments.index.device)[segments.index].unbind(-1):
            for key, (child, own) in enumerate(zip(self.children, params["children"], strict=True)):
                chosen = (step == key).nonzero().squeeze(1)
                if len(chosen):
                    patches, alpha = put_back(segments, chosen, *child.apply(segments.only(chosen), own))
                    segments = replace(segments, patches=patches, alpha=alpha)
        return segments.patches, segments.alpha

    def recolor(self, colors: PictureColors, params: Params) -> None:
        changes = {
            key: _recoloring(child, own)
            for key, (child, own) in enumerate(zip(self.children, params["children"], strict=True))
        }
        for step in params["order"].to(colors.values.device).unbind(-1):
            colors.on_groups(step, changes)

    def lowered(self) -> Iterator[tuple[str, str]]:
        for child in self.children:
            yield from child.lowered()

    def outcomes(self, shape: Shape) -> list[Params]:
        return [
            {"order": torch.tensor([order]), "children": list(picked)}
            for order in all_permutations(range(len(self.children)))
            for picked in product(*(child.outcomes(shape) for child in self.children))
        ]


def _recoloring(child: Node, params: Params) -> Callable[[Any, torch.Tensor], torch.Tensor]:
    def change(part: PictureColors, rows: torch.Tensor) -> torch.Tensor:
        child.recolor(part, params)
        return part.values

    return change
