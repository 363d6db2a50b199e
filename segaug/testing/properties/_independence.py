"""Draws that must not depend on each other: of segments, of pictures in a batch, of calls, of members."""

from collections.abc import Sequence
from typing import Any

import torch

from segaug._checks import check_int
from segaug.structures import SegmentedImage, SegmentTokens
from segaug.testing._augmentation import Augmentation
from segaug.testing._compare import plain
from segaug.testing._errors import NotApplicable, PropertyFailed, TransformFailed
from segaug.testing._outcomes import FEWEST_CALLS, Outcome, check_pair, fresh_stream, outcome, play, varying
from segaug.testing._property import declare
from segaug.testing._spread import segment_outcomes, spread

__all__ = ["batch_elements_are_independent", "check_own_draws", "segments_are_independent"]

_SEGMENTS = 3


@declare("segmented_image", "segment_tokens", "token_batch", statistical=True)
def segments_are_independent(transform: Any, sample: Any, *, seed: int = 0, calls: int = 200) -> None:
    """P(T(x)_i in A, T(x)_j in B) = P(T(x)_i in A) P(T(x)_j in B) for equal segments i, j of x.

    Three copies of the sample's first segment go through T, again and again. Not applicable to transforms that treat a
    picture as a whole, that change which segments there are, or that draw nothing for a segment.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: A SegmentedImage or SegmentTokens.
        seed: Seeds the default streams.
        calls: How often to call it.

    Raises:
        PropertyFailed: If two segments' results depend on each other; a right transform's do so once in 1e9 times.
        NotApplicable: As said above.

    Example:
        >>> from torchvision.transforms import v2
        >>> from segaug import PerSegment, SegmentedImage
        >>> tile = torch.arange(12, dtype=torch.uint8).view(3, 2, 2)
        >>> segments_are_independent(PerSegment(v2.RandomHorizontalFlip()), SegmentedImage(tile, torch.ones(2, 2).int()))
    """
    augmentation = Augmentation.of(transform)
    check_int("calls", calls, minimum=FEWEST_CALLS)
    given = spread(sample, _SEGMENTS)
    check_own_draws(augmentation, given, seed)
    rows = [segment_outcomes(given, result, _SEGMENTS) for result in play(augmentation, given, seed, calls)]
    *segments, background = zip(*rows, strict=True)
    if not varying(segments):
        raise NotApplicable("it draws nothing for a segment of this sample")
    try:
        check_pairs(segments, [f"segment {i + 1}" for i in range(_SEGMENTS)])
    except PropertyFailed as error:
        if isinstance(given, SegmentedImage) and _comes_along(segments, background):
            raise NotApplicable(
                "whenever it changes a segment it changes what is around, as a whole picture"
            ) from error
        raise


@declare("image_batch", "token_batch", statistical=True)
def batch_elements_are_independent(transform: Any, sample: Any, *, seed: int = 0, calls: int = 200) -> None:
    """P(T(x)_i in A, T(x)_j in B) = P(T(x)_i in A) P(T(x)_j in B) for equal elements i, j of a batch x.

    Not applicable where one draw per batch is documented: to torchvision (which draws once for all leading dimensions), to
    albumentations' ``images=``, to kornia's ``same_on_batch=True``. Nor to callables of no library that also take single
    pictures and treat the elements alike, and to what mixes elements.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: A batch of pictures or of SegmentTokens; its first element is repeated.
        seed: Seeds the default streams.
        calls: How often to call it.

    Raises:
        PropertyFailed: If two elements' results depend on each other; a right transform's do so once in 1e9 times.
        NotApplicable: As said above.

    Example:
        >>> def flip_each(batch):
        ...     is_flipped = torch.rand(len(batch), 1, 1, 1) < 0.5
        ...     return torch.where(is_flipped, batch.flip(-1), batch)
        >>> batch_elements_are_independent(flip_each, torch.rand(2, 3, 2, 2))
    """
    augmentation = Augmentation.of(transform)
    check_int("calls", calls, minimum=FEWEST_CALLS)
    if augmentation.library == "torchvision":
        raise NotApplicable("torchvision draws once for all leading dimensions, as documented")
    if augmentation.library == "albumentations":
        raise NotApplicable("albumentations draws once for all of images=, as documented")
    if _is_same_on_batch(augmentation.given):
        raise NotApplicable("same_on_batch=True asks for one draw per batch")
    if any(kind.__name__ == "PolicyAugmentBase" for kind in type(augmentation.given).__mro__):
        raise NotApplicable("kornia draws a policy once per call, as documented")
    given = _repeat_first(sample)
    results = play(augmentation, given, seed, calls)
    rows = [[outcome(_element(result, 0)), outcome(_element(result, 1))] for result in results]
    columns = list(zip(*rows, strict=True))
    if not varying(columns):
        raise NotApplicable("it draws nothing for an element of this batch")
    if _mixes(augmentation, given, seed):
        raise NotApplicable("it mixes the elements of a batch")
    if augmentation.library == "callable" and columns[0] == columns[1] and _takes(augmentation, _element(given, 0)):
        raise NotApplicable("it takes single pictures too, and draws once for all leading dimensions")
    check_pairs(columns, ["element 0", "element 1"])


def check_pairs(columns: Sequence[Sequence[Outcome]], names: Sequence[str]) -> None:
    """Raise PropertyFailed if two columns of outcomes depend on each other."""
    pairs = [(i, j) for j in range(len(columns)) for i in range(j)]
    for i, j in pairs:
        check_pair(columns[i], columns[j], names=(names[i], names[j]), tests=len(pairs))


def check_own_draws(augmentation: Augmentation, given: Any, seed: int) -> None:
    """Raise NotApplicable if it is meant to treat a picture as a whole: by where it comes from, or by what it does."""
    if _is_whole_picture(augmentation.given):
        raise NotApplicable(f"{augmentation.library}'s transforms change a picture as a whole")
    if isinstance(given, SegmentedImage):
        if _does_the_same_without_map(augmentation, given, seed):
            raise NotApplicable("it does the same to the picture without its segments")
    elif _mirrors_boxes(augmentation, given, seed):
        raise NotApplicable("it mirrors all boxes at once, as a transform of the whole picture does")


def _is_whole_picture(transform: Any) -> bool:
    if type(transform).__module__.partition(".")[0] not in ("torchvision", "kornia", "albumentations"):
        return False
    held = getattr(transform, "transforms", None)
    members = list(held) if isinstance(held, list | tuple | torch.nn.ModuleList) else []
    # A Compose changes segments as its members do; what chooses among them does so for the picture.
    return type(transform).__name__ != "Compose" or not members or any(_is_whole_picture(part) for part in members)


def _does_the_same_without_map(augmentation: Augmentation, given: SegmentedImage, seed: int) -> bool:
    try:
        return all(
            torch.equal(
                plain(augmentation.seeded(given.image, seed + call)),
                plain(augmentation.seeded(given, seed + call).image),
            )
            for call in range(FEWEST_CALLS)
        )
    except TransformFailed:
        return False


def _mirrors_boxes(augmentation: Augmentation, given: SegmentTokens, seed: int) -> bool:
    before = plain(given.boxes)
    is_place = (before >= 0).all(-1, keepdim=True)
    for result in play(augmentation, given, seed, FEWEST_CALLS):
        after = plain(result.boxes)
        if after.shape != before.shape:
            return False
        for axis in (0, 1):
            mirrored = before.clone()
            mirrored[..., axis], mirrored[..., axis + 2] = 1 - before[..., axis + 2], 1 - before[..., axis]
            if torch.where(is_place, after - mirrored, 0).abs().max() < 1e-6:
                return True
    return False


def _comes_along(segments: Sequence[Sequence[Outcome]], background: Sequence[Outcome]) -> bool:
    """Whether the background, which is changed in some calls, is changed in all in which a segment is."""
    if not varying([background]):
        return False
    usual = [max(column, key=[value for value, _ in column].count) for column in (*segments, background)]
    return all(
        row[-1] != usual[-1] or all(one == other for one, other in zip(row[:-1], usual, strict=False))
        for row in zip(*segments, background, strict=True)
    )


def _is_same_on_batch(transform: Any) -> bool:
    parts = transform.modules() if isinstance(transform, torch.nn.Module) else [transform]
    return any(getattr(part, "same_on_batch", None) is True for part in parts)


def _repeat_first(batch: Any) -> Any:
    if isinstance(batch, torch.Tensor):
        if len(batch) < 1:
            raise NotApplicable("the batch is empty")
        return plain(batch)[:1].repeat(2, *[1] * (batch.ndim - 1)).as_subclass(type(batch))
    if len(batch.labels) < 1:
        raise NotApplicable("the batch is empty")
    return batch[torch.tensor([0, 0])]


def _element(batch: Any, i: int) -> Any:
    """An element, without the padding that depends on how long the others are."""
    if isinstance(batch, torch.Tensor):
        return batch[i]
    one = batch[i]
    return one[~one.is_padding]


def _takes(augmentation: Augmentation, sample: Any) -> bool:
    try:
        augmentation(sample)
    except TransformFailed:
        return False
    return True


def _mixes(augmentation: Augmentation, given: Any, seed: int) -> bool:
    """Whether the first element's result depends on what is in the second."""
    other = _blacken_second(given)
    with fresh_stream(seed):
        return any(
            outcome(_element(augmentation.seeded(given, s), 0)) != outcome(_element(augmentation.seeded(other, s), 0))
            for s in range(FEWEST_CALLS)
        )


def _blacken_second(batch: Any) -> Any:
    if isinstance(batch, torch.Tensor):
        changed = plain(batch).clone()
        changed[1] = 0
        return changed.as_subclass(type(batch))
    patches, alpha = plain(batch.patches).clone(), plain(batch.alpha)
    patches[1] = 0
    return SegmentTokens(patches, alpha, batch.boxes, batch.areas, batch.labels)
