"""Join the tokens of several segmentations of one image."""

from collections.abc import Sequence
from dataclasses import fields

import torch

from segaug._checks import describe
from segaug.structures._segment_tokens import SegmentTokens

__all__ = ["concatenate"]


def concatenate(parts: Sequence[SegmentTokens]) -> SegmentTokens:
    """Join tokens of the same image, as of a fine and a coarse segmentation.

    Labels of each part are raised by the largest label before it, so that they stay unique; they are then no labels of one
    ``SegmentMap`` any more. Of background tokens the first part's stays. Pixels are in as many tokens as there are parts,
    so areas no longer add up to 1. Padding is left out.

    Args:
        parts: Tokens (N_i), one part or more, with equal patches in channels, size, dtype and device.

    Returns:
        Tokens (N), in the order of :class:`SegmentTokens`.

    Raises:
        TypeError: If a part is no ``SegmentTokens``.
        ValueError: If there is no part, one is a batch, or patches or devices differ.

    Example:
        >>> from segaug import Grid, SegmentedImage, Tokenize
        >>> image = torch.zeros(3, 32, 32, dtype=torch.uint8)
        >>> fine, coarse = (Tokenize()(SegmentedImage(image, Grid(n, n)(image))) for n in (2, 1))
        >>> concatenate([fine, coarse]).labels.tolist()
        [1, 2, 3, 4, 5, 0]
    """
    if not len(parts):
        raise ValueError("parts must hold at least one SegmentTokens, got none")
    for part in parts:
        if not isinstance(part, SegmentTokens):
            raise TypeError(f"parts must all be SegmentTokens, got {describe(part)}")
        if part.labels.ndim != 1:
            raise ValueError(f"parts must be of single images with labels (N,), got labels {tuple(part.labels.shape)}")
        if (part.patches.shape[1:], part.patches.dtype, part.device) != (
            parts[0].patches.shape[1:],
            parts[0].patches.dtype,
            parts[0].device,
        ):
            raise ValueError(f"patches must agree in channels, size, dtype and device, got {parts[0]!r} and {part!r}")
    shown = [part[part.labels > 0] for part in parts]
    backgrounds = [part[part.is_background] for part in parts]
    background = next((part for part in backgrounds if part.num_tokens), backgrounds[0])
    labels, largest = [], 0
    for part in shown:
        labels.append(part.labels + largest)
        largest = int(labels[-1].max()) if part.num_tokens else largest
    joined = {
        field.name: torch.cat([getattr(part, field.name).as_subclass(torch.Tensor) for part in (*shown, background)])
        for field in fields(SegmentTokens)
        if field.name != "labels"
    }
    return SegmentTokens(**joined, labels=torch.cat([*labels, background.labels]))
