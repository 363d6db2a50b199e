"""SegmentMix: exchange whole segments between the images of a batch."""

from typing import Any

import torch

from segaug._checks import check_flag, check_generator, check_number, check_probability
from segaug.functional import merge_tokens, roll_partners, swap_background, take_tokens
from segaug.structures import SegmentTokens
from segaug.transforms._across import LabelsGetter, MixImages, pack_tokens
from segaug.transforms._random import bernoulli, beta, uniform

__all__ = ["SegmentMix"]


class SegmentMix(MixImages):
    """Exchange whole tokens between images, and mix the class labels by area: CutMix (arXiv 1905.04899) by segments.

    For batches, after :func:`segaug.collate`. Every image that takes part draws lam from Beta(alpha, alpha); each of its
    foreground tokens leaves with probability 1 - lam, by its own draw, for the next image that takes part (the last one's
    go to the first). A token keeps its patch, box and area. No token is lost or doubled, so areas are conserved over the
    batch; the areas of one image need not add up to 1. An image of which nothing would stay keeps its largest token.

    In the sample class labels, (B,) integers or soft (B, num_classes), become soft labels: the share of the image's token
    area, background included, that comes from each class. An image without tokens keeps its own.

    Labels of tokens that come are raised by the largest label that the image had, so that they stay unique: they name
    tokens, and are no labels of a ``SegmentMap`` any more.

    Args:
        num_classes: Number of classes; may be None if class labels are soft already.
        alpha: Both parameters of the Beta distribution.
        p: Probability that an image takes part. One that takes part alone stays as it is.
        background: Whether background tokens leave too. They go around among the images whose background token leaves, so
            that none has two.
        labels_getter: How to find the class labels: ``"default"``, as in torchvision's ``CutMix`` the sample's second
            item, or the entry ``"labels"`` of a dict; a callable that takes the sample and returns one of its tensors;
            None to exchange tokens alone.
        generator: Where to draw; torch's default generator if None.

    Raises:
        TypeError: If an argument is of another type, or the sample holds a picture, a map or boxes beside the tokens.
        ValueError: If an argument is out of range, the tokens are no batch, or class labels do not fit.

    Example:
        >>> from segaug import Grid, Segment, SegmentMix, Tokenize, collate
        >>> tokens = Tokenize()(Segment(Grid(2, 2))(torch.zeros(3, 32, 32)))
        >>> mix = SegmentMix(num_classes=2, generator=torch.Generator().manual_seed(0))
        >>> batch, targets = mix(collate([(tokens, 0), (tokens, 1)]))
        >>> batch.labels.tolist()
        [[1, 6, 7, 8, 0], [1, 6, 7, 8, 0]]
        >>> targets.tolist()
        [[0.25, 0.75], [0.75, 0.25]]
    """

    def __init__(
        self,
        *,
        num_classes: int | None = None,
        alpha: float = 1.0,
        p: float = 1.0,
        background: bool = False,
        labels_getter: LabelsGetter = "default",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(num_classes, labels_getter)
        self.alpha = check_number("alpha", alpha, minimum=0.0)
        if not self.alpha:
            raise ValueError(f"alpha must be above 0, got {alpha}")
        self.p = check_probability("p", p)
        self.background = check_flag("background", background)
        self._generator = check_generator(generator)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw ``takes_part`` (B,) bool, ``lam`` (B,) and ``leaves`` (B, N) bool."""
        batch, num = flat_inputs[0].labels.shape
        takes_part = bernoulli(self.p, (batch,), self._stream)
        lam = beta(self.alpha, (batch,), self._stream)
        leaves = uniform(0.0, 1.0, (batch, num), self._stream) < 1.0 - lam[:, None]
        return {"takes_part": takes_part, "lam": lam, "leaves": leaves}

    def transform(
        self, inpt: tuple[SegmentTokens, torch.Tensor | None], params: dict[str, Any]
    ) -> tuple[SegmentTokens, torch.Tensor | None]:
        """Apply draws to a batch and its class labels."""
        tokens, targets = inpt
        labels, num = tokens.labels, max(tokens.num_tokens, 1)
        takes_part = params["takes_part"].to(labels.device)
        source = roll_partners(takes_part)
        has_partner = source != torch.arange(len(source), device=source.device)
        drawn = params["leaves"].to(labels.device) & has_partner[:, None]
        leaves = drawn & (labels > 0)
        if labels.numel():
            largest = torch.where(labels > 0, tokens.areas, -1.0).argmax(-1, keepdim=True)
            # A background that is drawn may leave too.
            goes = leaves | (drawn & (labels == 0)) if self.background else leaves
            is_emptied = (goes | (labels < 0)).all(-1, keepdim=True)
            leaves = leaves.scatter(-1, largest, leaves.gather(-1, largest) & ~is_emptied)
        index, new_labels = merge_tokens(labels, ~leaves, leaves[source], source)
        if self.background:
            ring = roll_partners((drawn & (labels == 0)).any(-1))
            index = take_tokens(index, swap_background(new_labels, ring), fill=-1)
        mixed = pack_tokens(tokens, index, new_labels)
        return mixed, self._mix_targets(targets, mixed.areas, torch.where(index >= 0, index // num, -1))
