"""BackgroundSwap: the same things before another background."""

from typing import Any

import torch

from segaug._checks import check_generator, check_probability
from segaug.functional import roll_partners, swap_background
from segaug.structures import SegmentTokens
from segaug.transforms._across import AcrossImages, pack_tokens
from segaug.transforms._random import bernoulli

__all__ = ["BackgroundSwap"]


class BackgroundSwap(AcrossImages):
    """Exchange background tokens between images; class labels and everything else in the sample stay.

    For batches, after :func:`segaug.collate`. The background tokens go around: each image that takes part and has one gets
    that of the one before it. A token keeps its patch and area, so the areas of one image need not add up to 1. An image
    without a background token stays as it is, and so does the only one that has one.

    Args:
        p: Probability that an image takes part.
        generator: Where to draw; torch's default generator if None.

    Raises:
        TypeError: If an argument is of another type, or the sample holds a picture, a map or boxes beside the tokens.
        ValueError: If ``p`` is not in [0, 1], or the tokens are no batch.

    Example:
        >>> from segaug import BackgroundSwap, SegmentedImage, Tokenize, collate
        >>> map = torch.eye(4, dtype=torch.int64)
        >>> dark, light = (SegmentedImage(torch.full((3, 4, 4), value), map) for value in (0.25, 0.75))
        >>> batch = collate([Tokenize(size=4)(dark), Tokenize(size=4)(light)])
        >>> BackgroundSwap()(batch).patches.amax((-3, -2, -1)).tolist()
        [[0.25, 0.75], [0.75, 0.25]]
    """

    def __init__(self, p: float = 1.0, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.p = check_probability("p", p)
        self._generator = check_generator(generator)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw ``takes_part`` (B,) bool."""
        return {"takes_part": bernoulli(self.p, (len(flat_inputs[0].labels),), self._stream)}

    def transform(self, inpt: SegmentTokens, params: dict[str, Any]) -> SegmentTokens:
        """Apply draws to a batch."""
        labels = inpt.labels
        takes_part = params["takes_part"].to(labels.device) & (labels == 0).any(-1)
        return pack_tokens(inpt, swap_background(labels, roll_partners(takes_part)), labels)

    def _run_sample(self, sample: Any, leaves: list[Any], at: int) -> None:
        leaves[at] = self._run(leaves[at])
