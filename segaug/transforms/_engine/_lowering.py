"""How a known transform runs for all segments at once: the protocol, and the registry that users can extend."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from segaug.functional._colors import Colors, on_tokens

__all__ = ["ColorLowering", "Draw", "Lowering", "find_lowering", "register_lowering"]

Params = dict[str, Any]


@dataclass(frozen=True)
class Draw:
    """What parameters are drawn for: the number of segments, the shape of their patches, and where to draw.

    ``in_picture`` tells that segments lie in a picture, each patch as large as the segment's box. Draws depend neither on
    pixels nor on ``dtype``, which is there to refuse what would make several of it.
    """

    count: int
    channels: int
    height: int
    width: int
    generator: torch.Generator | None
    in_picture: bool = False
    dtype: torch.dtype = torch.uint8


class Lowering(ABC):
    """Runs one class of transform batched. One instance serves all transforms of the class.

    ``make_params`` draws for ``draw.count`` segments at once; ``apply`` gets the patches (M, C, H, W), premultiplied by
    alpha, the alpha (M, H, W) and params whose tensors have M rows, and returns the new patches and alpha.
    """

    def why_not(self, transform: Any) -> str | None:
        """Say why this very transform cannot be batched, or None if it can."""
        return None

    def output_shape(self, transform: Any, channels: int, height: int, width: int) -> tuple[int, int, int] | None:
        """Channels, height and width of a patch after the transform; None if they differ between segments."""
        return channels, height, width

    def output_dtype(self, transform: Any, dtype: torch.dtype) -> torch.dtype:
        """Dtype of a patch after the transform."""
        return dtype

    def reach(self, transform: Any, height: int, width: int) -> tuple[int, int]:
        """How far a segment in a picture may reach beyond its box, up and down and to the sides, in pixels.

        Its patch is padded by so much before ``apply``; parameters are drawn for the box.
        """
        return 0, 0

    def outcomes(self, transform: Any, channels: int) -> list[Params] | None:
        """Every outcome for one segment of ``channels``, as params with one row; None if they cannot be counted."""
        return None

    def make_params(self, transform: Any, draw: Draw) -> Params:
        """Draw every parameter for every segment."""
        return {}

    @abstractmethod
    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Apply the parameters to the segments."""


class ColorLowering(Lowering):
    """A lowering that changes colours alone, so that it runs on tokens and in the picture.

    Subclasses override ``recolor``; ``apply`` takes coverage out before it and puts it back behind it.
    """

    @abstractmethod
    def recolor(self, transform: Any, colors: Colors, params: Params) -> None:
        """Replace ``colors.values``: straight colours, channels first, float.

        ``colors.levels`` tells whether they are levels from 0 to 255 (of uint8, to be kept whole) or in [0, 1];
        ``colors.per_pixel(values)`` spreads one value per segment over the pixels, and ``colors.mean(gray)`` gives each
        segment's mean.
        """

    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Change the colours; coverage stays."""

        def change(colors: Colors) -> torch.Tensor:
            self.recolor(transform, colors, params)
            return colors.values

        return on_tokens(patches, alpha, change), alpha


_REGISTRY: dict[type, Lowering] = {}
_L = TypeVar("_L", bound=type[Lowering])


def register_lowering(transform_class: type) -> Callable[[_L], _L]:
    """Register a :class:`Lowering` for a class of transform, exactly that one and not its subclasses."""

    def register(lowering: _L) -> _L:
        if transform_class in _REGISTRY:
            raise ValueError(f"{transform_class.__name__} has a lowering already: {_REGISTRY[transform_class]!r}")
        _REGISTRY[transform_class] = lowering()
        return lowering

    return register


def find_lowering(transform: Any) -> Lowering | None:
    """Look a transform up by its class. A subclass may behave in another way, so it does not count."""
    return _REGISTRY.get(type(transform))
