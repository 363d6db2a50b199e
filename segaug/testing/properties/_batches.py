"""What holds for batches: they are so many single samples, and padding is nothing."""

from typing import Any

import torch
from torchvision import tv_tensors

from segaug.structures import SegmentTokens, collate
from segaug.testing._augmentation import Augmentation
from segaug.testing._compare import check_equal, plain
from segaug.testing._draws import RecordedDraws
from segaug.testing._errors import NotApplicable
from segaug.testing._property import declare
from segaug.testing.properties._edits import (
    check_tokens,
    has_streams_per_slot,
    images_of,
    quantile_of,
    real_tokens,
    recolor,
    rounding,
    take,
    unless_mixing,
)

__all__ = ["batch_elements_do_not_interfere", "batch_equals_singles", "padding_changes_nothing"]

# How many slots of padding are appended.
_SLOTS = 2


# Not for single images: one that takes (C, H, W) alone may take a batch of one for something else.
@declare("token_batch", "image_batch", "segment_tokens")
def batch_equals_singles(transform: Any, sample: Any, *, seed: int = 0) -> None:
    """T([x1, ..., xn])[i] = T(xi) for equal draws, and T([x])[0] = T(x) under the same seed, within rounding.

    Of a batch, draws are pinned, so that each element gets the same. Of one sample, a batch of one is made, and both are run
    under one seed, if the same is drawn for both, else with pinned draws. Within rounding: one level of integers, 1e-5 of
    floats. Padding is left out of the comparison.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: A batch of images (B, C, H, W) or of tokens; or one image, or the tokens of one.
        seed: Where the draws start, and what they are pinned to.

    Raises:
        PropertyFailed: If an element comes out otherwise in a batch.
        NotApplicable: If T mixes images on purpose, or draws from elsewhere than torch.

    Example:
        >>> from torchvision.transforms import v2
        >>> batch_equals_singles(v2.ColorJitter(contrast=0.5), torch.rand(2, 3, 4, 4))
    """
    augmentation = Augmentation.of(transform)
    unless_mixing(augmentation)
    if isinstance(sample, SegmentTokens):
        is_batch = sample.labels.ndim == 2
        batch: Any = sample if is_batch else collate([sample])
        singles: list[Any] = [real_tokens(image) for image in images_of(sample)] if is_batch else [sample]
    else:
        is_batch = sample.ndim == 4
        batch = sample if is_batch else _retyped(plain(sample)[None], sample)
        singles = [_retyped(image, sample) for image in plain(sample)] if is_batch else [sample]
    if not is_batch:
        draws, batch_draws = RecordedDraws(), RecordedDraws()
        single = augmentation.under(draws, singles[0], seed)
        whole = augmentation.under(batch_draws, batch, seed)
        if draws.calls == batch_draws.calls:
            _compare_element(single, whole, 0, "a batch of one under the same seed")
            return
    if isinstance(sample, SegmentTokens) and has_streams_per_slot(augmentation):
        raise NotApplicable("each slot of a batch draws from a stream of its own, which cannot be pinned")
    u = quantile_of(seed)
    whole = augmentation.pinned(batch, u)
    for i, single in enumerate(singles):
        what = f"element {i} of the batch, draws pinned to {u:.3g}"
        _compare_element(augmentation.pinned(single, u), whole, i, what)


def _retyped(pixels: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return tv_tensors.wrap(pixels, like=like) if isinstance(like, tv_tensors.TVTensor) else pixels


def _compare_element(single: Any, whole: Any, i: int, what: str) -> None:
    if isinstance(single, SegmentTokens):
        check_tokens(real_tokens(single), real_tokens(images_of(whole)[i]), what)
        return
    if whole.ndim == single.ndim:
        raise NotApplicable("it returns a single image for a batch of one")
    check_equal(plain(single), plain(whole)[i], what, **rounding(single))


@declare("image_batch", "token_batch")
def batch_elements_do_not_interfere(transform: Any, sample: Any, *, seed: int = 0) -> None:
    """T_s(x)_i = T_s(x')_i, bit for bit, for batches x and x' that differ in the pixels of another element j alone.

    So nothing is counted or normalised over the batch. Transforms that mix images on purpose are to be skipped; segaug's own
    are known.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: A batch of images (B, C, H, W), or of tokens.
        seed: Where the draws start, and which element is changed.

    Raises:
        PropertyFailed: If another element's result changes.
        NotApplicable: If there are fewer than two elements, or T mixes images on purpose.

    Example:
        >>> from torchvision.transforms import v2
        >>> batch_elements_do_not_interfere(v2.ColorJitter(contrast=0.5), torch.rand(2, 3, 4, 4))
    """
    augmentation = Augmentation.of(transform)
    unless_mixing(augmentation)
    if len(sample.labels if isinstance(sample, SegmentTokens) else sample) < 2:
        raise NotApplicable("the batch has fewer than two elements")
    if isinstance(sample, SegmentTokens):
        j = seed % len(sample.labels)
        patches = plain(sample.patches).clone()
        patches[j] = recolor(patches[j], plain(sample.alpha)[j].unsqueeze(-3))
        changed: Any = SegmentTokens(patches, sample.alpha, sample.boxes, sample.areas, sample.labels)
    else:
        j = seed % len(sample)
        pixels = plain(sample).clone()
        pixels[j] = recolor(pixels[j], 1 if pixels.is_floating_point() else 255)
        changed = _retyped(pixels, sample)
    before, after = augmentation.seeded(sample, seed), augmentation.seeded(changed, seed)
    what = f"with other colours in element {j}, element"
    if isinstance(before, SegmentTokens):
        for i, (one, other) in enumerate(zip(images_of(before), images_of(after), strict=True)):
            if i != j:
                check_equal(real_tokens(one), real_tokens(other), f"{what} {i}")
        return
    for i, (one, other) in enumerate(zip(plain(before), plain(after), strict=True)):
        if i != j:
            check_equal(one, other, f"{what} {i}")


@declare("token_batch", "segment_tokens")
def padding_changes_nothing(transform: Any, sample: Any, *, seed: int = 0) -> None:
    """With padding appended to x, T(x) has the same tokens, within rounding, for equal draws; padding stays padding.

    Draws are pinned, as more slots may draw more numbers.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: Tokens or a batch of them.
        seed: What draws are pinned to.

    Raises:
        PropertyFailed: If a token comes out otherwise, or a slot of padding becomes a token.
        NotApplicable: If T draws from elsewhere than torch.

    Example:
        >>> from segaug import PositionJitter, SegmentTokens
        >>> patch, alpha = torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1)
        >>> one = SegmentTokens(patch, alpha, torch.ones(1, 4), torch.ones(1), torch.ones(1).long())
        >>> padding_changes_nothing(PositionJitter(), one)
    """
    augmentation = Augmentation.of(transform)
    if sample.labels.ndim == 2 and has_streams_per_slot(augmentation):
        raise NotApplicable("each slot of a batch draws from a stream of its own, which cannot be pinned")
    u = quantile_of(seed)
    padded = _padded(sample)
    before, after = augmentation.pinned(sample, u), augmentation.pinned(padded, u)
    for i, (one, other) in enumerate(zip(images_of(before), images_of(after), strict=True)):
        of_image = f" of image {i}" if sample.labels.ndim == 2 else ""
        what = f"with {_SLOTS} more slots of padding, draws pinned to {u:.3g}, tokens{of_image}"
        check_tokens(real_tokens(one), real_tokens(other), what)


def _padded(tokens: SegmentTokens) -> SegmentTokens:
    """More slots at the end of each image."""
    count = tokens.num_tokens
    if not count:
        raise NotApplicable("the sample has no tokens")
    leading = (slice(None),) * (tokens.labels.ndim - 1)
    longer = take(tokens, (*leading, torch.arange(count + _SLOTS).clamp(max=count - 1)))
    fields = {name: plain(getattr(longer, name)).clone() for name in ("patches", "alpha", "boxes", "areas", "labels")}
    for name, field in fields.items():
        field[(*leading, slice(count, None))] = -1 if name == "labels" else 0
    return SegmentTokens(**fields)
