"""Nodes that hold others: a sequence, a gate, a choice, an order, each drawn for every segment by itself."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import permutations as all_permutations
from itertools import product
from typing import Any

import torch

from segaug.functional._colors import PictureColors
from segaug.transforms._engine._lowering import Draw, Params
from segaug.transforms._engine._nodes import Node, Segments, Shape, describe_shape, put_back
from segaug.transforms._random import bernoulli, choices, permutations, seeds

__all__ = ["PROBES", "Choice", "Gated", "Order", "Sequence"]

_logger = logging.getLogger("segaug")
# Sizes of which a transform that sets the size keeps at most one.
PROBES: tuple[Shape, ...] = ((3, 31, 17), (3, 16, 16))


@dataclass(frozen=True)
class Sequence(Node):
    """A ``Compose``.

    Parameters are drawn for the size that comes in. So where a step gives segments sizes that differ, or that are not known
    before, it runs together with all that follow it one segment at a time, each drawn when its size is there.
    """

    children: tuple[Node, ...]
    _said: set[int] = field(default_factory=set, compare=False)

    @property
    def is_color(self) -> bool:  # type: ignore[override]
        return all(child.is_color for child in self.children)

    def output_dtype(self, dtype: torch.dtype) -> torch.dtype:
        for child in self.children:
            dtype = child.output_dtype(dtype)
        return dtype

    def possible_shapes(self, shape: Shape, in_picture: bool = False) -> set[Shape] | None:
        shapes = {shape}
        for child in self.children:
            after = [child.possible_shapes(one, in_picture) for one in shapes]
            if any(one is None for one in after):
                return None
            shapes = {new for one in after if one is not None for new in one}
        return shapes

    def make_params(self, draw: Draw) -> Params:
        shape: Shape | None = (draw.channels, draw.height, draw.width)
        end = self._known((draw.channels, draw.height, draw.width), draw.in_picture)
        self._say_once(end, draw)
        if end < len(self.children) and draw.count > 1 and not draw.in_picture:
            possible = self.possible_shapes((draw.channels, draw.height, draw.width))
            if possible is not None and len(possible) > 1:
                raise ValueError(
                    "transform must give every segment the same size and channels: it would make one of "
                    f"{', '.join(sorted(map(str, possible)))}"
                )
        params = []
        for child in self.children[:end]:
            params.append(child.make_params(draw))
            if shape is not None:
                shape = child.output_shape(shape, draw.in_picture)
            if shape is not None:
                draw = replace(draw, channels=shape[0], height=shape[1], width=shape[2])
            draw = replace(draw, dtype=child.output_dtype(draw.dtype))
        rest = None if end == len(self.children) else seeds(draw.count, draw.generator)
        return {"children": params, "rest": rest}

    def _known(self, shape: Shape, in_picture: bool = False) -> int:
        """How many of the first children can be drawn for, as it is known what size comes to the next."""
        new: Shape | None = shape
        for i, child in enumerate(self.children[:-1]):
            new = child.output_shape(shape, in_picture)
            if new is None:
                return i
            shape = new
        return len(self.children)

    def _always_known(self) -> int:
        """As many as with any size."""
        return max(self._known(probe) for probe in PROBES)

    def _say_once(self, end: int, draw: Draw) -> None:
        if end < self._always_known() and end not in self._said and not draw.in_picture:
            self._said.add(end)
            _logger.warning("PerSegment runs one segment at a time from here on: %s", self._why(end))

    def _why(self, begin: int) -> str:
        names = ", ".join(dict.fromkeys(name for name, _ in self.children[begin].lowered()))
        return f"{names} gives sizes that differ or are not known before"

    def output_shape(self, shape: Shape, in_picture: bool = False) -> Shape | None:
        new: Shape | None = shape
        for child in self.children:
            new = None if new is None else child.output_shape(new, in_picture)
        return new

    def apply(self, segments: Segments, params: Params) -> tuple[torch.Tensor, torch.Tensor]:
        for child, own in zip(self.children, params["children"], strict=False):
            patches, alpha = child.apply(segments, own)
            segments = replace(segments, patches=patches, alpha=alpha)
        if params["rest"] is None:
            return segments.patches, segments.alpha
        rest = Sequence(self.children[len(params["children"]) :])
        if not len(segments.index):
            return rest.apply_to_none(segments)
        starts = params["rest"][segments.index.cpu()].tolist()
        parts = [rest.apply_to_one(segments, k, start) for k, start in enumerate(starts)]
        kinds = sorted({describe_shape(patches) for patches, _ in parts})
        if len(kinds) > 1:
            raise ValueError(
                f"transform must give every segment the same size, channels and dtype, got {', '.join(kinds)}: "
                f"{self._why(len(params['children']))}"
            )
        patches, alpha = (torch.cat(layer) for layer in zip(*parts, strict=True))
        return patches, alpha

    def apply_to_none(self, segments: Segments) -> tuple[torch.Tensor, torch.Tensor]:
        """Give no segments the size and dtype that some would have, as far as they are known."""
        for child in self.children:
            channels, height, width = segments.patches.shape[1:]
            draw = Draw(0, channels, height, width, torch.Generator(), segments.in_picture, segments.patches.dtype)
            patches, alpha = child.apply(segments, child.make_params(draw))
            segments = replace(segments, patches=patches, alpha=alpha)
        return segments.patches, segments.alpha

    def apply_to_one(self, segments: Segments, k: int, start: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw and apply step by step for the segment at ``k``."""
        generator = torch.Generator().manual_seed(start)
        index = segments.index[k : k + 1]
        one = replace(
            segments,
            patches=segments.patches[k : k + 1],
            alpha=segments.alpha[k : k + 1],
            names=lambda _: segments.names(index),
            index=torch.zeros_like(index),
        )
        for child in self.children:
            channels, height, width = one.patches.shape[1:]
            own = child.make_params(Draw(1, channels, height, width, generator, segments.in_picture, one.patches.dtype))
            patches, alpha = child.apply(one, own)
            one = replace(one, patches=patches, alpha=alpha)
        return one.patches, one.alpha

    def recolor(self, colors: PictureColors, params: Params) -> None:
        for child, own in zip(self.children, params["children"], strict=True):
            child.recolor(colors, own)

    def lowered(self) -> Iterator[tuple[str, str]]:
        end = self._always_known()
        for i, child in enumerate(self.children):
            for name, how in child.lowered():
                yield name, f"looped: {self._why(end)}" if i >= end and how == "batched" else how

    def outcomes(self, shape: Shape) -> list[Params]:
        inside = []
        for i, child in enumerate(self.children):
            inside.append(child.outcomes(shape))
            new = child.output_shape(shape)
            if new is None and i + 1 < len(self.children):
                raise ValueError(f"transform must have finitely many outcomes that are known: {self._why(i)}")
            shape = new or shape
        return [{"children": list(picked), "rest": None} for picked in product(*inside)]


@dataclass(frozen=True)
class Gated(Node):
    """A step that each segment takes with probability ``p``."""

    child: Node
    p: float

    @property
    def is_color(self) -> bool:  # type: ignore[override]
        return self.child.is_color

    def output_dtype(self, dtype: torch.dtype) -> torch.dtype:
        return self.child.output_dtype(dtype) if self.p > 0.0 else dtype

    def possible_shapes(self, shape: Shape, in_picture: bool = False) -> set[Shape] | None:
        inside = self.child.possible_shapes(shape, in_picture) if self.p > 0.0 else {shape}
        return inside if inside is None or self.p >= 1.0 else inside | {shape}

    def make_params(self, draw: Draw) -> Params:
        if self.p <= 0.0:
            return {"gate": torch.zeros(draw.count, dtype=torch.bool), "child": None}
        shape = (draw.channels, draw.height, draw.width)
        new = self.child.output_shape(shape, draw.in_picture)
        if self.p < 1.0 and new not in (shape, None) and draw.count > 1 and not draw.in_picture:
            raise ValueError(
                f"transform must give every segment the same size and channels: with p={self.p:g} some would become {new}, "
                f"the others stay {shape}"
            )
        if self.p < 1.0 and self.child.output_dtype(draw.dtype) != draw.dtype and draw.count > 1:
            raise ValueError(
                f"transform must give every segment the same dtype: with p={self.p:g} some would change it, others not"
            )
        # No draw where there is nothing to choose, so that p=1 leaves the stream to the transform alone.
        gate = None if self.p >= 1.0 else bernoulli(self.p, (draw.count,), draw.generator)
        return {"gate": gate, "child": self.child.make_params(draw)}

    def output_shape(self, shape: Shape, in_picture: bool = False) -> Shape | None:
        if self.p <= 0.0:
            return shape
        new = self.child.output_shape(shape, in_picture)
        return new if self.p >= 1.0 or new == shape else None

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
        if self.p <= 0.0:
            return [{"gate": torch.tensor([False]), "child": None}]
        inside = self.child.outcomes(shape)
        if self.p >= 1.0:
            return [{"gate": None, "child": own} for own in inside]
        closed: list[Params] = [{"gate": torch.tensor([False]), "child": inside[0]}]
        return closed + [{"gate": torch.tensor([True]), "child": own} for own in inside]


@dataclass(frozen=True)
class Choice(Node):
    """A ``RandomChoice``: each segment takes one of the children."""

    children: tuple[Node, ...]
    p: tuple[float, ...]

    @property
    def is_color(self) -> bool:  # type: ignore[override]
        return all(child.is_color for child in self.taken)

    @property
    def taken(self) -> list[Node]:
        """The children that any segment takes."""
        return [child for child, p in zip(self.children, self.p, strict=True) if p > 0.0]

    def output_dtype(self, dtype: torch.dtype) -> torch.dtype:
        # Where there are several, drawing raises.
        return self.taken[0].output_dtype(dtype)

    def possible_shapes(self, shape: Shape, in_picture: bool = False) -> set[Shape] | None:
        after = [child.possible_shapes(shape, in_picture) for child in self.taken]
        known = [shapes for shapes in after if shapes is not None]
        return set().union(*known) if len(known) == len(after) else None

    def make_params(self, draw: Draw) -> Params:
        shape = (draw.channels, draw.height, draw.width)
        possible = self._possible(shape, draw.in_picture)
        if len(possible) > 1 and None not in possible and draw.count > 1 and not draw.in_picture:
            raise ValueError(
                f"transform must give every segment the same size and channels: of {shape} RandomChoice would make one of "
                f"{', '.join(sorted(map(str, possible)))}"
            )
        if len({child.output_dtype(draw.dtype) for child in self.taken}) > 1 and draw.count > 1:
            raise ValueError(
                "transform must give every segment the same dtype: one choice of RandomChoice changes it, another does not"
            )
        choice = choices(self.p, draw.count, draw.generator)
        children = [
            child.make_params(draw) if p > 0.0 else None for child, p in zip(self.children, self.p, strict=True)
        ]
        return {"choice": choice, "children": children}

    def _possible(self, shape: Shape, in_picture: bool) -> set[Shape | None]:
        return {child.output_shape(shape, in_picture) for child in self.taken}

    def output_shape(self, shape: Shape, in_picture: bool = False) -> Shape | None:
        possible = self._possible(shape, in_picture)
        return possible.pop() if len(possible) == 1 else None

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
        kinds = sorted({describe_shape(patches) for patches, _ in parts})
        if len(kinds) > 1:
            raise ValueError(
                f"transform must give every segment the same size, channels and dtype, RandomChoice gave {', '.join(kinds)}"
            )
        back = order.argsort()
        patches, alpha = (torch.cat(layer).index_select(0, back) for layer in zip(*parts, strict=True))
        return patches, alpha

    def recolor(self, colors: PictureColors, params: Params) -> None:
        changes = {
            key: _recoloring(child, own)
            for key, (child, own) in enumerate(zip(self.children, params["children"], strict=True))
            if own is not None
        }
        colors.on_groups(params["choice"].to(colors.values.device), changes)

    def lowered(self) -> Iterator[tuple[str, str]]:
        for child in self.children:
            yield from child.lowered()

    def outcomes(self, shape: Shape) -> list[Params]:
        inside: list[list[Any]] = [
            child.outcomes(shape) if p > 0.0 else [None] for child, p in zip(self.children, self.p, strict=True)
        ]
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
