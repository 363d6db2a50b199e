"""Mirror images, by a draw for each image of a batch."""

from dataclasses import fields
from typing import Any

import torch
from torchvision.transforms import v2

from segaug._checks import check_probability, describe
from segaug.structures import SegmentTokens

__all__ = ["RandomMirror"]


class RandomMirror(v2.Transform):
    """Mirror images left to right, patches and boxes alike, each image of a batch by its own draw.

    ``v2.RandomHorizontalFlip`` on a batch mirrors all of its images or none.

    Args:
        p: Probability that an image is mirrored.

    Raises:
        TypeError: If ``p`` is no number, or the input no tokens.
        ValueError: If ``p`` is not in [0, 1].

    Example:
        >>> from segaug import Grid, Segment, Tokenize, collate
        >>> tokens = Tokenize()(Segment(Grid(1, 2))(torch.zeros(3, 32, 32, dtype=torch.uint8)))
        >>> RandomMirror(p=1.0)(collate([tokens, tokens])).boxes[1, :2].tolist()
        [[0.5, 0.0, 1.0, 1.0], [0.0, 0.0, 0.5, 1.0]]
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = check_probability("p", p)
        self._flip = v2.RandomHorizontalFlip(p=1.0)

    def forward(self, *inputs: Any) -> SegmentTokens:
        """Mirror the drawn images of a batch (B, N), or one image (N)."""
        tokens = inputs[0]
        if len(inputs) != 1 or not isinstance(tokens, SegmentTokens):
            raise TypeError(f"RandomMirror takes SegmentTokens, got {describe(tokens)}")
        drawn = (torch.rand(tokens.labels.shape[:-1]) < self.p).to(tokens.device)
        mirrored = self._flip(tokens)
        changed = {}
        for field in fields(SegmentTokens):
            old, new = getattr(tokens, field.name), getattr(mirrored, field.name)
            which = drawn.view(*drawn.shape, *(1 for _ in old.shape[drawn.ndim :]))
            changed[field.name] = torch.where(which, new.as_subclass(torch.Tensor), old.as_subclass(torch.Tensor))
        return SegmentTokens(**changed)
