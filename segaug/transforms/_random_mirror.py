"""RandomMirror: mirror whole images of tokens, patches and places alike."""

from typing import Any, ClassVar

import torch

from segaug._checks import check_generator, check_probability
from segaug.structures import SegmentTokens
from segaug.structures._token_leaves import mirror_boxes
from segaug.transforms._base import SegmentTransform
from segaug.transforms._random import bernoulli

__all__ = ["RandomMirror"]


class RandomMirror(SegmentTransform):
    """Mirror images left to right, patches and boxes alike, each image of a batch by its own draw.

    ``v2.RandomHorizontalFlip`` on a batch of tokens mirrors all of its images or none.

    Args:
        p: Probability that an image is mirrored.
        generator: Where to draw; torch's default generator if None.

    Raises:
        TypeError: If an argument is of another type, or a sample holds no tokens.
        ValueError: If ``p`` is not in [0, 1].

    Example:
        >>> from segaug import Grid, Segment, Tokenize, collate
        >>> tokens = Tokenize()(Segment(Grid(1, 2))(torch.zeros(3, 32, 32, dtype=torch.uint8)))
        >>> RandomMirror(p=1.0)(collate([tokens, tokens])).boxes[1, :2].tolist()
        [[0.5, 0.0, 1.0, 1.0], [0.0, 0.0, 0.5, 1.0]]
    """

    _structures: ClassVar[tuple[type, ...]] = (SegmentTokens,)

    def __init__(self, p: float = 0.5, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.p = check_probability("p", p)
        self._generator = check_generator(generator)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw ``mirror`` (...), one bool per image."""
        return {"mirror": bernoulli(self.p, tuple(flat_inputs[0].labels.shape[:-1]), self._stream)}

    def transform(self, inpt: SegmentTokens, params: dict[str, Any]) -> SegmentTokens:
        """Mirror what was drawn."""
        mirror = params["mirror"].to(inpt.device)

        def choose(mirrored: torch.Tensor, plain: torch.Tensor) -> torch.Tensor:
            return torch.where(mirror.view(*mirror.shape, *[1] * (plain.ndim - mirror.ndim)), mirrored, plain)

        patches, alpha, boxes = (leaf.as_subclass(torch.Tensor) for leaf in (inpt.patches, inpt.alpha, inpt.boxes))
        return SegmentTokens(
            choose(patches.flip(-1), patches),
            choose(alpha.flip(-1), alpha),
            choose(mirror_boxes(boxes, 0), boxes),
            inpt.areas,
            inpt.labels,
        )
