"""How PerSegment runs what it wraps: a tree of nodes, each batched or looped.

A node first draws every parameter for every segment, then applies them: so draws depend neither on the pixels nor on
how the work is batched, and parameters can be kept and applied again.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torchvision.transforms import v2

from segaug.functional._color import PictureColors
from segaug.transforms._loop import describe_transform, loop_over_segments
from segaug.transforms._lowering import ColorLowering, Draw, Lowering, Params, find_lowering
from segaug.transforms._random import bernoulli

__all__ = ["LIVE", "Looped", "Node", "Segments", "make_plan"]


@dataclass(frozen=True)
class Segments:
    """The segments that a node acts on, flattened over the batch."""

    patches: torch.Tensor  # (M, C, H, W), premultiplied
    alpha: torch.Tensor  # (M, H, W)
    names: Callable[[torch.Tensor], list[str]]  # indices (K,) -> what to call them in an error
    index: torch.Tensor  # (M,) which of all segments these are: rows of the parameters

    def only(self, chosen: torch.Tensor) -> "Segments":
        """Those at the indices ``chosen``."""
        return replace(self, patches=self.patches[chosen], alpha=self.alpha[chosen], index=self.index[chosen])


class Node(ABC):
    """One step."""

    @abstractmethod
    def make_params(self, draw: Draw) -> Params:
        """Draw for ``draw.count`` segments."""

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Size of a patch after the step, as far as it is known."""
        return height, width

    @abstractmethod
    def apply(self, segments: Segments, params: Params) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the new patches and alpha."""

    @abstractmethod
    def recolor(self, colors: PictureColors, params: Params) -> None:
        """Change the colours of a picture; only where :meth:`why_not_in_picture` has no objection."""

    @abstractmethod
    def why_not_in_picture(self) -> str | None:
        """Say what cannot run on a SegmentedImage yet, or None."""

    @abstractmethod
    def lowered(self) -> Iterator[tuple[str, str]]:
        """Yield the name of each wrapped transform and how it runs."""


@dataclass(frozen=True)
class Batched(Node):
    """A transform with a lowering."""

    transform: Any
    lowering: Lowering

    def make_params(self, draw: Draw) -> Params:
        return self.lowering.make_params(self.transform, draw)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        return self.lowering.output_size(self.transform, height, width)

    def apply(self, segments: Segments, params: Params) -> tuple[torch.Tensor, torch.Tensor]:
        index = segments.index
        rows = {
            key: value.to(index.device)[index] if isinstance(value, torch.Tensor) else value
            for key, value in params.items()
        }
        return self.lowering.apply(self.transform, segments.patches, segments.alpha, rows)

    def recolor(self, colors: PictureColors, params: Params) -> None:
        if not isinstance(self.lowering, ColorLowering):
            raise TypeError(self.why_not_in_picture())
        device = colors.values.device
        rows = {key: value.to(device) if isinstance(value, torch.Tensor) else value for key, value in params.items()}
        self.lowering.recolor(self.transform, colors, rows)

    def why_not_in_picture(self) -> str | None:
        return None if isinstance(self.lowering, ColorLowering) else f"{type(self.transform).__name__} moves pixels"

    def lowered(self) -> Iterator[tuple[str, str]]:
        yield type(self.transform).__name__, "batched"


@dataclass(frozen=True)
class Sequence(Node):
    """A ``Compose``."""

    children: tuple[Node, ...]

    def make_params(self, draw: Draw) -> Params:
        params = []
        for child in self.children:
            params.append(child.make_params(draw))
            height, width = child.output_size(draw.height, draw.width)
            draw = replace(draw, height=height, width=width)
        return {"children": params}

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        for child in self.children:
            height, width = child.output_size(height, width)
        return height, width

    def apply(self, segments: Segments, params: Params) -> tuple[torch.Tensor, torch.Tensor]:
        for child, own in zip(self.children, params["children"], strict=True):
            patches, alpha = child.apply(segments, own)
            segments = replace(segments, patches=patches, alpha=alpha)
        return segments.patches, segments.alpha

    def recolor(self, colors: PictureColors, params: Params) -> None:
        for child, own in zip(self.children, params["children"], strict=True):
            child.recolor(colors, own)

    def why_not_in_picture(self) -> str | None:
        return next((reason for child in self.children if (reason := child.why_not_in_picture())), None)

    def lowered(self) -> Iterator[tuple[str, str]]:
        for child in self.children:
            yield from child.lowered()


@dataclass(frozen=True)
class Gated(Node):
    """A step that each segment takes with probability ``p``."""

    child: Node
    p: float

    def make_params(self, draw: Draw) -> Params:
        size = self.child.output_size(draw.height, draw.width)
        if self.p < 1.0 and size != (draw.height, draw.width):
            raise ValueError(
                f"transform must give every segment the same size: with p={self.p:g} some would become {size}, the others "
                f"stay {(draw.height, draw.width)}"
            )
        # No draw where there is nothing to choose, so that p=1 leaves the stream to the transform alone.
        gate = None if self.p >= 1.0 else bernoulli(self.p, (draw.count,), draw.generator)
        return {"gate": gate, "child": self.child.make_params(draw)}

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        return self.child.output_size(height, width)

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
        gate = params["gate"].to(colors.values.device)

        def change(part: PictureColors, index: torch.Tensor) -> torch.Tensor:
            self.child.recolor(part, params["child"])
            return part.values

        colors.on(gate, change)

    def why_not_in_picture(self) -> str | None:
        return self.child.why_not_in_picture()

    def lowered(self) -> Iterator[tuple[str, str]]:
        yield from self.child.lowered()


# Parameters of a loop that draws from torch's default generator as it stands.
LIVE: Params = {}


@dataclass(frozen=True)
class Looped(Node):
    """A transform that is called once per segment."""

    transform: Any
    reason: str
    geometry: bool = False

    def make_params(self, draw: Draw) -> Params:
        # What a transform draws inside itself cannot be drawn for it; its stream can be fixed.
        device = "cpu" if draw.generator is None else draw.generator.device
        seed = torch.randint(2**63 - 1, (), generator=draw.generator, device=device)
        return {"state": torch.Generator().manual_seed(int(seed)).get_state()}

    def apply(self, segments: Segments, params: Params) -> tuple[torch.Tensor, torch.Tensor]:
        if params is LIVE:
            return self.run(segments)
        with own_stream(params["state"], segments.patches.device):
            return self.run(segments)

    def run(self, segments: Segments) -> tuple[torch.Tensor, torch.Tensor]:
        """Loop, drawing from torch's default generator as it stands."""
        if not len(segments.index):
            return segments.patches, segments.alpha
        names = segments.names(segments.index)
        return loop_over_segments(self.transform, segments.patches, segments.alpha, names, self.geometry)

    def recolor(self, colors: PictureColors, params: Params) -> None:
        raise TypeError(self.why_not_in_picture())

    def why_not_in_picture(self) -> str | None:
        return f"{describe_transform(self.transform)} is not batched ({self.reason})"

    def lowered(self) -> Iterator[tuple[str, str]]:
        yield describe_transform(self.transform), f"looped: {self.reason}"


@contextmanager
def own_stream(state: torch.Tensor, device: torch.device) -> Iterator[None]:
    """Let torch's default generator go on from ``state`` for a while, and leave it as it was found."""
    is_cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if is_cuda else []):
        if is_cuda:
            # Drawn aside, so that the CPU's stream is the same with a GPU and without.
            aside = torch.Generator()
            aside.set_state(state)
            torch.cuda.manual_seed(int(torch.randint(2**63 - 1, (), generator=aside)))
        torch.set_rng_state(state)
        yield


def put_back(
    segments: Segments, chosen: torch.Tensor, patches: torch.Tensor, alpha: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Put the results for some segments among the others, which stay as they are."""
    if len(chosen) == len(segments.patches):
        return patches, alpha
    if patches.shape[1:] != segments.patches.shape[1:]:
        raise ValueError(
            f"transform must give every segment the same size: it makes {tuple(patches.shape[-2:])} of some, the others "
            f"stay {tuple(segments.patches.shape[-2:])}"
        )
    return segments.patches.index_copy(0, chosen, patches), segments.alpha.index_copy(0, chosen, alpha)


def make_plan(transform: Any, geometry: bool = False) -> Node:
    """Decide for each part of a transform how it runs."""
    kind = type(transform)
    if kind is v2.Compose or kind is torch.nn.Sequential:
        children = transform.transforms if kind is v2.Compose else transform
        return Sequence(tuple(make_plan(child, geometry) for child in children))
    if kind is v2.RandomApply:
        return Gated(Sequence(tuple(make_plan(child, geometry) for child in transform.transforms)), float(transform.p))
    if kind is v2.Identity:
        return Sequence(())
    lowering = find_lowering(transform)
    if lowering is None:
        return Looped(transform, "no batched kernel for it", geometry)
    reason = lowering.why_not(transform)
    return Batched(transform, lowering) if reason is None else Looped(transform, reason, geometry)
