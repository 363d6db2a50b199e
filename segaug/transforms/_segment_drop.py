"""SegmentDrop: leave segments out."""

from typing import Any, ClassVar

import torch

from segaug._checks import check_generator, check_probability
from segaug.structures import SegmentTokens
from segaug.transforms._base import SegmentTransform
from segaug.transforms._random import bernoulli

__all__ = ["SegmentDrop"]


class SegmentDrop(SegmentTransform):
    """Leave out every segment with probability ``p``, each by its own draw.

    The background token stays, and so does the largest segment of an image that would be left without any token. From
    one image (N) the tokens are removed; in a batch (B, N) the kept ones move to the front and the rest is padding. Where
    none is left out, the sample comes back as it is.

    Args:
        p: Probability of leaving out a segment.
        generator: Where to draw; torch's default generator if None.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If ``p`` is not in [0, 1].

    Example:
        >>> from segaug import Grid, Segment, SegmentDrop, Tokenize
        >>> tokens = Tokenize()(Segment(Grid(2, 2))(torch.zeros(3, 32, 32, dtype=torch.uint8)))
        >>> SegmentDrop(1.0)(tokens).labels.tolist()
        [0]
    """

    _structures: ClassVar[tuple[type, ...]] = (SegmentTokens,)

    def __init__(self, p: float = 0.1, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.p = check_probability("p", p)
        self._generator = check_generator(generator)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw ``drop`` (..., N) bool."""
        return {"drop": bernoulli(self.p, tuple(flat_inputs[0].labels.shape), self._stream)}

    def transform(self, inpt: SegmentTokens, params: dict[str, Any]) -> SegmentTokens:
        """Leave out what was drawn."""
        labels = inpt.labels
        keep = (labels >= 0) & ~((labels > 0) & params["drop"].to(labels.device))
        largest = torch.where(labels >= 0, inpt.areas, -1.0).argmax(-1, keepdim=True) if labels.shape[-1] else labels
        keep |= torch.zeros_like(keep).scatter(-1, largest, ~keep.any(-1, keepdim=True)) & (labels >= 0)
        if bool((keep == (labels >= 0)).all()):
            return inpt
        if labels.ndim == 1:
            return inpt[keep]
        order = (~keep).to(torch.uint8).argsort(dim=-1, stable=True)
        most = int(keep.sum(-1).max()) if keep.numel() else 0
        order = order[..., :most]
        kept = keep.gather(-1, order)

        def take(field: torch.Tensor, fill: int) -> torch.Tensor:
            field = field.as_subclass(torch.Tensor)
            extra = field.shape[labels.ndim :]
            index = order.view(*order.shape, *(1 for _ in extra)).expand(*order.shape, *extra)
            return field.gather(labels.ndim - 1, index).masked_fill(~kept.view(*kept.shape, *(1 for _ in extra)), fill)

        return SegmentTokens(
            take(inpt.patches, 0), take(inpt.alpha, 0), take(inpt.boxes, 0), take(inpt.areas, 0), take(labels, -1)
        )
