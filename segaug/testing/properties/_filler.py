"""What holds for transforms that change colours regardless of place: what is outside the mask does not count."""

from typing import Any

import torch

from segaug.structures import SegmentTokens
from segaug.testing._augmentation import Augmentation
from segaug.testing._compare import plain
from segaug.testing._errors import NotApplicable, PropertyFailed
from segaug.testing._property import declare
from segaug.testing.properties._edits import check_tokens, quantile_of, sees_filler

__all__ = ["filler_changes_nothing"]

_SIDE = 8


@declare("segment_tokens", is_geometric=False)
def filler_changes_nothing(transform: Any, sample: Any, *, seed: int = 0) -> None:
    """For T that changes colours regardless of place: with black filler around the patches, T(x) is the same inside.

    Patches are put into a frame of twice the side, which has alpha 0; so statistics such as the mean of a contrast are the
    segment's own. Draws are pinned; within rounding: one level of integers, 1e-5 of floats. Whether T disregards place is
    tried on the sample first: moving all pixels of patch and alpha alike must commute with T, in the frame as well.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: Tokens.
        seed: What draws are pinned to.

    Raises:
        PropertyFailed: If a pixel changes.
        NotApplicable: If T looks at where pixels are, or changes the size, or draws from elsewhere than torch.

    Example:
        >>> from torchvision.transforms import v2
        >>> from segaug import PerSegment, SegmentTokens
        >>> patch, alpha = torch.tensor([[[[0.2, 0.6]]]]), torch.ones(1, 1, 2)
        >>> one = SegmentTokens(patch, alpha, torch.ones(1, 4), torch.ones(1), torch.ones(1).long())
        >>> filler_changes_nothing(Augmentation(PerSegment(v2.ColorJitter(contrast=0.5)), is_geometric=False), one)
    """
    augmentation = Augmentation.of(transform)
    if augmentation.is_geometric:
        raise NotApplicable("it moves pixels")
    if sees_filler(augmentation):
        raise NotApplicable("it runs a callable, which sees the segment's mean colour around it")
    u = quantile_of(seed)
    height, width = sample.patches.shape[-2:]
    framed = _pixelwise(sample, lambda layer: torch.nn.functional.pad(layer, (0, width, 0, height)))
    inside = augmentation.pinned(sample, u)
    outside = augmentation.pinned(framed, u)
    # Flat segments would not show that their places matter.
    noise = _noise(sample)
    for before, after in ((sample, inside), (framed, outside), (noise, augmentation.pinned(noise, u))):
        if after.labels.shape != before.labels.shape or after.patches.shape[-2:] != before.patches.shape[-2:]:
            raise NotApplicable("it changes the size of patches, or their number")
        _unless_place_matters(augmentation, before, after, u)
    cut = _pixelwise(outside, lambda layer: layer[..., :height, :width])
    check_tokens(inside, cut, f"with black filler around, draws pinned to {u:.3g}")


def _noise(tokens: SegmentTokens) -> SegmentTokens:
    """The same segments with full coverage of larger patches, each pixel of another colour."""
    patches, labels = plain(tokens.patches), tokens.labels
    shape = (*patches.shape[:-2], _SIDE, _SIDE)
    full = 255 if patches.dtype == torch.uint8 else 1
    pixels = (torch.rand(shape, generator=torch.Generator().manual_seed(0)) * full).to(patches.dtype)
    coverage = torch.full((*labels.shape, _SIDE, _SIDE), full, dtype=patches.dtype)
    there = labels[..., None, None] >= 0
    return SegmentTokens(pixels * there[..., None], coverage * there, tokens.boxes, tokens.areas, labels)


def _pixelwise(tokens: SegmentTokens, change: Any) -> SegmentTokens:
    patches, alpha = change(plain(tokens.patches)), change(plain(tokens.alpha))
    return SegmentTokens(patches, alpha, tokens.boxes, tokens.areas, tokens.labels)


def _unless_place_matters(augmentation: Augmentation, sample: SegmentTokens, out: SegmentTokens, u: float) -> None:
    pixels = sample.patches.shape[-2] * sample.patches.shape[-1]
    shuffled = torch.randperm(pixels, generator=torch.Generator().manual_seed(pixels))
    for order in (torch.arange(pixels).flip(0), shuffled):

        def move(layer: torch.Tensor, order: torch.Tensor = order) -> torch.Tensor:
            return layer.flatten(-2)[..., order].view(layer.shape)

        try:
            check_tokens(_pixelwise(out, move), augmentation.pinned(_pixelwise(sample, move), u), "")
        except PropertyFailed as error:
            raise NotApplicable("it looks at where pixels are") from error
