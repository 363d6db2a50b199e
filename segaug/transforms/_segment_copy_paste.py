"""SegmentCopyPaste: give an image copies of another image's segments."""

from typing import Any

import torch

from segaug._checks import check_generator, check_int, check_probability
from segaug.functional import merge_tokens, roll_partners
from segaug.structures import SegmentTokens
from segaug.transforms._across import LabelsGetter, MixImages, pack_tokens
from segaug.transforms._random import bernoulli

__all__ = ["SegmentCopyPaste"]


class SegmentCopyPaste(MixImages):
    """Append copies of another image's segments, and mix the class labels by area: copy-paste (arXiv 2012.07177) of tokens.

    For batches, after :func:`segaug.collate`. Each foreground token is copied, by its own draw, into the next image of the
    batch (the last one's into the first), with its patch, box and area. An image keeps all it has, so its areas may add up
    to more than 1; in the picture the copies would lie on top.

    In the sample class labels, (B,) integers or soft (B, num_classes), become soft labels: the share of the image's token
    area, background included, that comes from each class. An image without tokens keeps its own.

    Labels of copies are raised by the largest label that the image had, so that they stay unique: they name tokens, and
    are no labels of a ``SegmentMap`` any more.

    Args:
        num_classes: Number of classes; may be None if class labels are soft already.
        p: Probability of copying a token.
        max_segments: Foreground tokens that an image may have with its copies; None for any number. An image's own
            tokens stay, however many; of the copies the largest come in until there is no room left.
        labels_getter: How to find the class labels, as for :class:`SegmentMix`.
        generator: Where to draw; torch's default generator if None.

    Raises:
        TypeError: If an argument is of another type, or the sample holds a picture, a map or boxes beside the tokens.
        ValueError: If an argument is out of range, the tokens are no batch, or class labels do not fit.

    Example:
        >>> from segaug import Grid, Segment, SegmentCopyPaste, Tokenize, collate
        >>> image = torch.zeros(3, 32, 32)
        >>> batch = collate([(Tokenize()(Segment(Grid(1, n))(image)), n) for n in (1, 2)])
        >>> tokens, targets = SegmentCopyPaste(num_classes=3, p=1.0)(batch)
        >>> tokens.labels.tolist(), targets.tolist()
        ([[1, 2, 3, 0], [1, 2, 3, 0]], [[0.0, 0.5, 0.5], [0.0, 0.5, 0.5]])
    """

    def __init__(
        self,
        *,
        num_classes: int | None = None,
        p: float = 0.5,
        max_segments: int | None = None,
        labels_getter: LabelsGetter = "default",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(num_classes, labels_getter)
        self.p = check_probability("p", p)
        self.max_segments = None if max_segments is None else check_int("max_segments", max_segments, minimum=1)
        self._generator = check_generator(generator)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw ``copied`` (B, N) bool."""
        return {"copied": bernoulli(self.p, tuple(flat_inputs[0].labels.shape), self._stream)}

    def transform(
        self, inpt: tuple[SegmentTokens, torch.Tensor | None], params: dict[str, Any]
    ) -> tuple[SegmentTokens, torch.Tensor | None]:
        """Apply draws to a batch and its class labels."""
        tokens, targets = inpt
        labels, num = tokens.labels, max(tokens.num_tokens, 1)
        everyone = torch.ones(len(labels), dtype=torch.bool, device=labels.device)
        source = roll_partners(everyone)
        received = (params["copied"].to(labels.device) & (labels > 0))[source]
        if len(labels) == 1:
            received = torch.zeros_like(received)
        if self.max_segments is not None:
            # The rank among what comes, the largest first.
            areas = torch.where(received, tokens.areas[source], -1.0)
            rank = areas.argsort(dim=-1, descending=True, stable=True).argsort(-1)
            received &= rank < self.max_segments - (labels > 0).sum(-1, keepdim=True)
        index, new_labels = merge_tokens(labels, torch.ones_like(received), received, source)
        mixed = pack_tokens(tokens, index, new_labels)
        return mixed, self._mix_targets(targets, mixed.areas, torch.where(index >= 0, index // num, -1))
