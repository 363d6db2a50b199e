"""What holds whatever segments are called, and for the names that mean something else: background and padding."""

from typing import Any

import torch

from segaug.structures import SegmentedImage, SegmentTokens
from segaug.testing._augmentation import Augmentation
from segaug.testing._compare import check_equal, plain
from segaug.testing._draws import RecordedDraws
from segaug.testing._errors import DeadlineExceeded, NotApplicable, PropertyFailed, TransformFailed
from segaug.testing._property import declare
from segaug.testing.properties._edits import (
    check_tokens,
    has_streams_per_slot,
    images_of,
    mixes_images,
    quantile_of,
    rename,
    rounding,
)

__all__ = ["is_equivariant_to_label_permutation", "leaves_sentinels_alone"]

# By a factor, so that sums of labels are renamed alike.
_FACTOR = 3


@declare("segmented_image", "segment_tokens", "token_batch")
def is_equivariant_to_label_permutation(transform: Any, sample: Any, *, seed: int = 0) -> None:
    """T(r(x)) = r(T(x)) for r that renames labels: increasing ones for every seed, all of them with equal draws.

    First every label is multiplied by three, which keeps their order, under one seed; left out if T then draws another
    number of times, as some draw for each possible label. Then labels are named in reverse, with pinned draws, which give
    each segment the same; left out for transforms that move pixels of a picture, as the map's order decides ties of what
    lies on top, where tokens of equal areas are dropped, and for those that exchange tokens between images.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: A segmented image, tokens or a batch of them.
        seed: Where the draws start, and what they are pinned to.

    Raises:
        PropertyFailed: If anything but names changes, or T raises with new names.
        NotApplicable: If there are no segments, or T draws from elsewhere than torch.

    Example:
        >>> from torchvision.transforms import v2
        >>> from segaug import PerSegment, SegmentedImage
        >>> picture = SegmentedImage(torch.tensor([[[0.25, 0.5]]]), torch.tensor([[1, 2]]))
        >>> is_equivariant_to_label_permutation(PerSegment(v2.RandomHorizontalFlip()), picture)
    """
    augmentation = Augmentation.of(transform)
    labels = plain(sample.segments if isinstance(sample, SegmentedImage) else sample.labels)
    names = labels[labels > 0].unique()
    if not len(names) or int(names[-1]) > torch.iinfo(torch.int64).max // (2 * _FACTOR):
        raise NotApplicable("the sample has no segments whose labels can grow")
    u = quantile_of(seed)
    pinned = augmentation.pinned(sample, u)

    draws, new_draws = RecordedDraws(), RecordedDraws()
    out = augmentation.under(draws, sample, seed)
    spread = rename(sample, lambda value: value * _FACTOR)
    found = _or_failed(lambda: augmentation.under(new_draws, spread, seed), f"with labels times {_FACTOR}")
    if draws.calls == new_draws.calls:
        expected = rename(out, lambda value: value * _FACTOR)
        check_equal(expected, found, f"with labels times {_FACTOR}")

    if len(names) < 2 or _order_decides(augmentation, sample, pinned):
        return

    def reverse(value: torch.Tensor) -> torch.Tensor:
        rank = torch.searchsorted(names, value.contiguous()).clamp(max=len(names) - 1)
        return names.flip(0)[rank]

    found = _or_failed(lambda: augmentation.pinned(rename(sample, reverse), u), "with labels in reverse")
    what = f"with labels in reverse and draws pinned to {u:.3g}"
    if isinstance(pinned, SegmentTokens):
        check_tokens(rename(pinned, reverse), found, what)
        return
    expected = rename(pinned, reverse)
    check_equal(plain(expected.segments), plain(found.segments), f"{what}: map")
    check_equal(plain(expected.image), plain(found.image), f"{what}: image", **rounding(expected.image))


def _order_decides(augmentation: Augmentation, sample: Any, out: Any) -> bool:
    """Whether the order of labels may decide on purpose."""
    if has_streams_per_slot(augmentation):
        return True
    if isinstance(sample, SegmentedImage):
        return augmentation.is_geometric is not False
    if mixes_images(augmentation) or bool((~torch.isin(out.labels, sample.labels) & (out.labels > 0)).any()):
        return True
    if torch.equal(out.labels, sample.labels):
        return False
    areas = [image.areas[image.labels > 0] for image in images_of(sample)]
    return any(len(own.unique()) < len(own) for own in areas)


def _or_failed(call: Any, what: str) -> Any:
    try:
        return call()
    except TransformFailed as error:
        if isinstance(error, DeadlineExceeded):
            raise
        raise PropertyFailed(f"{what}: {error}") from error


@declare("token_batch", "segment_tokens")
def leaves_sentinels_alone(transform: Any, sample: Any, *, seed: int = 0) -> None:
    """In T(x) the background's box is -1, padding holds zeros and label -1, and both are where they were.

    Where T leaves segments out, or brings some, padding may be elsewhere; each image has as many background tokens as before
    all the same.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: Tokens or a batch of them.
        seed: Where the draws start.

    Raises:
        PropertyFailed: If a sentinel has changed.
        NotApplicable: If the sample has neither background nor padding, or results are no colours in [0, 1].

    Example:
        >>> from segaug import PositionJitter, SegmentTokens, collate
        >>> patch, alpha = torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1)
        >>> one = SegmentTokens(patch, alpha, -torch.ones(1, 4), torch.ones(1), torch.zeros(1).long())
        >>> leaves_sentinels_alone(PositionJitter(), collate([one, one[:0]]))
    """
    augmentation = Augmentation.of(transform)
    if not bool((sample.labels <= 0).any()):
        raise NotApplicable("the sample has neither background nor padding")
    out = augmentation.seeded(sample, seed)
    boxes = plain(out.boxes)[out.labels == 0]
    check_equal(torch.full_like(boxes, -1.0), boxes, "the background's boxes")
    if out.patches.is_floating_point() and bool(((out.patches < 0) | (out.patches > 1)).any()):
        raise NotApplicable("its results are no colours in [0, 1], where 0 is black")
    is_padding = out.labels < 0
    for name in ("patches", "alpha", "boxes", "areas"):
        held = plain(getattr(out, name))[is_padding]
        check_equal(torch.zeros_like(held), held, f"padding's {name}")
    names = out.labels[is_padding]
    check_equal(torch.full_like(names, -1), names, "padding's labels")
    for i, (one, other) in enumerate(zip(images_of(sample), images_of(out), strict=True)):
        had, has = int((one.labels == 0).sum()), int((other.labels == 0).sum())
        if had != has:
            raise PropertyFailed(f"image {i} has {has} background tokens, expected {had}")
        if sorted(one.labels.tolist()) == sorted(other.labels.tolist()):
            check_equal(one.labels.clamp(max=1), other.labels.clamp(max=1), f"where image {i} has segments")
