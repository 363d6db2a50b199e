"""How PerSegment runs what it wraps: a tree of nodes. Here are what nodes share, and the leaves: batched and looped.

A node first draws every parameter for every segment, then applies them: so draws depend neither on the pixels nor on
how the work is batched, and parameters can be kept and applied again.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from segaug._streams import forked_streams
from segaug.functional._colors import PictureColors
from segaug.transforms._engine._interface import Interface
from segaug.transforms._engine._loop import describe_transform, loop_over_segments
from segaug.transforms._engine._lowering import ColorLowering, Draw, Lowering, Params

__all__ = ["LIVE", "Batched", "Looped", "Node", "Segments", "Shape", "describe_shape", "own_stream", "put_back"]

# Channels, height and width of a patch.
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Segments:
    """The segments that a node acts on, flattened over the batch."""

    patches: torch.Tensor  # (M, C, H, W), premultiplied
    alpha: torch.Tensor  # (M, H, W)
    names: Callable[[torch.Tensor], list[str]]  # indices (K,) -> what to call them in an error
    index: torch.Tensor  # (M,) which of all segments these are: rows of the parameters
    in_picture: bool = False

    def only(self, chosen: torch.Tensor) -> "Segments":
        """Those at the indices ``chosen``."""
        if len(chosen) == len(self.index):
            return self
        return replace(
            self,
            patches=self.patches.index_select(0, chosen),
            alpha=self.alpha.index_select(0, chosen),
            index=self.index.index_select(0, chosen),
        )


class Node(ABC):
    """One step."""

    # Whether it changes nothing but colours, so that it can run on a picture as a whole, through ``recolor``.
    is_color: bool = False
    # Whether it may move pixels. Where it surely does not, the background of a picture takes part.
    moves: bool = True

    @abstractmethod
    def make_params(self, draw: Draw) -> Params:
        """Draw for ``draw.count`` segments."""

    def output_shape(self, shape: Shape, in_picture: bool = False) -> Shape | None:
        """Shape of a patch after the step; None if it differs between segments, or is not known before."""
        return shape

    def possible_shapes(self, shape: Shape, in_picture: bool = False) -> set[Shape] | None:
        """All shapes that a patch may have after the step; None if they are not known before."""
        new = self.output_shape(shape, in_picture)
        return None if new is None else {new}

    def output_dtype(self, dtype: torch.dtype) -> torch.dtype:
        """Dtype of a patch after the step, as far as it is known."""
        return dtype

    @abstractmethod
    def apply(self, segments: Segments, params: Params) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the new patches and alpha."""

    def recolor(self, colors: PictureColors, params: Params) -> None:
        """Change the colours of a picture; only where ``is_color``."""
        raise TypeError(f"{type(self).__name__} does not change colours alone")

    @abstractmethod
    def lowered(self) -> Iterator[tuple[str, str]]:
        """Yield the name of each wrapped transform and how it runs."""

    @abstractmethod
    def outcomes(self, shape: Shape) -> list[Params]:
        """Every outcome for one segment of a shape, as params with one row; ValueError if they cannot be counted."""


@dataclass(frozen=True)
class Batched(Node):
    """A transform with a lowering."""

    transform: Any
    lowering: Lowering

    @property
    def is_color(self) -> bool:  # type: ignore[override]
        return isinstance(self.lowering, ColorLowering)

    def output_dtype(self, dtype: torch.dtype) -> torch.dtype:
        return self.lowering.output_dtype(self.transform, dtype)

    def make_params(self, draw: Draw) -> Params:
        return self.lowering.make_params(self.transform, draw)

    def output_shape(self, shape: Shape, in_picture: bool = False) -> Shape | None:
        if in_picture:
            rows, columns = self.lowering.reach(self.transform, *shape[1:])
            shape = (shape[0], shape[1] + 2 * rows, shape[2] + 2 * columns)
        return self.lowering.output_shape(self.transform, *shape)

    def apply(self, segments: Segments, params: Params) -> tuple[torch.Tensor, torch.Tensor]:
        index = segments.index
        rows = {
            key: value.to(index.device)[index] if isinstance(value, torch.Tensor) else value
            for key, value in params.items()
        }
        patches, alpha = segments.patches, segments.alpha
        if segments.in_picture:
            above, beside = self.lowering.reach(self.transform, *patches.shape[-2:])
            patches, alpha = (
                torch.nn.functional.pad(layer, [beside, beside, above, above]) for layer in (patches, alpha)
            )
        try:
            return self.lowering.apply(self.transform, patches, alpha, rows)
        except Exception as error:
            error.add_note(f"raised by {type(self.transform).__name__}, run for {len(index)} segments at once")
            raise

    def recolor(self, colors: PictureColors, params: Params) -> None:
        if not isinstance(self.lowering, ColorLowering):
            super().recolor(colors, params)
            return
        device = colors.values.device
        rows = {key: value.to(device) if isinstance(value, torch.Tensor) else value for key, value in params.items()}
        self.lowering.recolor(self.transform, colors, rows)

    def lowered(self) -> Iterator[tuple[str, str]]:
        yield type(self.transform).__name__, "batched"

    def outcomes(self, shape: Shape) -> list[Params]:
        found = self.lowering.outcomes(self.transform, shape[0])
        if found is None:
            raise ValueError(
                f"transform must have finitely many outcomes, {self.transform!r} draws from a continuous range"
            )
        return found


# Parameters of a loop that draws from torch's default generator as it stands.
LIVE: Params = {}


@dataclass(frozen=True)
class Looped(Node):
    """A transform that is called once per segment."""

    transform: Any
    reason: str
    interface: Interface
    # Whether no segment changes its size; what has a lowering, which does not suit, is asked that.
    keeps_shape: bool = False
    lowering: Lowering | None = None

    def output_shape(self, shape: Shape, in_picture: bool = False) -> Shape | None:
        if self.lowering is not None:
            return self.lowering.output_shape(self.transform, *shape)
        return shape if self.keeps_shape else None

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
        return loop_over_segments(self.transform, segments.patches, segments.alpha, names, self.interface)

    def lowered(self) -> Iterator[tuple[str, str]]:
        yield describe_transform(self.transform), f"looped: {self.reason}"

    def outcomes(self, shape: Shape) -> list[Params]:
        raise ValueError(
            f"transform must have finitely many outcomes that are known, {describe_transform(self.transform)} is called "
            f"once per segment ({self.reason})"
        )


@contextmanager
def own_stream(state: torch.Tensor, device: torch.device) -> Iterator[None]:
    """Let torch's default generator go on from ``state`` for a while, and leave it as it was found.

    So too Python's ``random`` and numpy's ``np.random``, which callables may draw from.
    """
    is_cuda = device.type == "cuda"
    # Drawn aside, so that the CPU's stream is the same with a GPU and without.
    aside = torch.Generator()
    aside.set_state(state)
    seed = int(torch.randint(2**63 - 1, (), generator=aside))
    with forked_streams(seed, [device] if is_cuda else []):
        if is_cuda:
            torch.cuda.manual_seed(seed)
        torch.set_rng_state(state)
        yield


def put_back(
    segments: Segments, chosen: torch.Tensor, patches: torch.Tensor, alpha: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Put the results for some segments among the others, which stay as they are."""
    if len(chosen) == len(segments.patches):
        return patches, alpha
    if patches.shape[1:] != segments.patches.shape[1:] or patches.dtype != segments.patches.dtype:
        raise ValueError(
            "transform must give every segment the same size, channels and dtype: it makes "
            f"{describe_shape(patches)} of some, the others stay {describe_shape(segments.patches)}"
        )
    return segments.patches.index_copy(0, chosen, patches), segments.alpha.index_copy(0, chosen, alpha)


def describe_shape(patches: torch.Tensor) -> str:
    """Say what one of many patches is like."""
    return f"{tuple(patches.shape[1:])} {str(patches.dtype).removeprefix('torch.')}"
