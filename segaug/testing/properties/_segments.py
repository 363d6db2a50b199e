"""What holds for the segments of an image: masks are kept to, and one segment is nothing to another."""

from typing import Any

import torch
from torchvision import tv_tensors

from segaug.structures import SegmentedImage, SegmentMap, SegmentTokens
from segaug.testing._augmentation import Augmentation
from segaug.testing._compare import check_equal, plain
from segaug.testing._errors import NotApplicable, PropertyFailed
from segaug.testing._property import declare
from segaug.testing.properties._edits import drops_segments, images_of, mixes_images, real_tokens, recolor

__all__ = ["conserves_partition", "is_identity_outside_masks", "segments_do_not_interfere"]


@declare("segment_tokens", "token_batch", "segmented_image")
def is_identity_outside_masks(transform: Any, sample: Any, *, seed: int = 0, background: bool | None = None) -> None:
    """For y = T(x): y is black where its coverage is 0, and x where no segment is.

    Of tokens, patches are 0 wherever alpha is; if T is known not to be geometric, alpha is what it was. Of a picture, the
    pixels of label 0 stay as they are; this does not apply if T changes the background too, or moves pixels, as segments
    then land on label 0.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: Tokens, a batch of them, or a segmented image.
        seed: Where the draws start.
        background: Whether label 0 of a picture is changed on purpose. None: as T's attribute ``background`` says.

    Raises:
        PropertyFailed: If a pixel outside the masks has changed.
        NotApplicable: If nothing is known of T on the background, or results are no colours in [0, 1].

    Example:
        >>> from torchvision.transforms import v2
        >>> from segaug import PerSegment, SegmentedImage
        >>> picture = SegmentedImage(torch.tensor([[[0.25, 0.5]]]), torch.tensor([[0, 1]]))
        >>> invert = PerSegment(v2.RandomInvert(1), background=False)
        >>> is_identity_outside_masks(Augmentation(invert, is_geometric=False), picture)
    """
    augmentation = Augmentation.of(transform)
    if isinstance(sample, SegmentTokens):
        return _outside_tokens(augmentation, sample, seed)
    if background is None:
        background = getattr(augmentation.given, "background", None)
    if background is not False:
        known = "it transforms label 0 as a segment" if background else "whether it leaves label 0 alone is not known"
        raise NotApplicable(known)
    out, before = augmentation.seeded(sample, seed), plain(sample.image)
    _unless_geometric(augmentation, before, out.image)
    outside = plain(sample.segments) == 0
    check_equal(before, torch.where(outside, plain(out.image), before), "outside the segments")
    return None


def _outside_tokens(augmentation: Augmentation, sample: SegmentTokens, seed: int) -> None:
    if _colored_outside(sample):
        raise NotApplicable("the sample itself has colour where its coverage is 0")
    out = augmentation.seeded(sample, seed)
    if bool((out.patches < 0).any()) or bool((out.patches > (255 if out.patches.dtype == torch.uint8 else 1)).any()):
        raise NotApplicable("its results are no colours in [0, 1], where 0 is black")
    if _colored_outside(out):
        place = ((plain(out.patches) != 0) & (plain(out.alpha) == 0).unsqueeze(-3)).nonzero()[0]
        value = plain(out.patches)[tuple(place)].item()
        raise PropertyFailed(f"where alpha is 0: patches{place.tolist()} is {value:g}, expected 0")
    if augmentation.is_geometric is not False or out.alpha.dtype != sample.alpha.dtype:
        return
    if mixes_images(augmentation) or not torch.equal(out.labels, sample.labels):
        return
    check_equal(plain(sample.alpha), plain(out.alpha), "alpha, as it moves no pixels")


def _colored_outside(tokens: SegmentTokens) -> bool:
    return bool(((plain(tokens.patches) != 0) & (plain(tokens.alpha) == 0).unsqueeze(-3)).any())


def _unless_geometric(augmentation: Augmentation, before: torch.Tensor, after: torch.Tensor) -> None:
    if augmentation.is_geometric is not False:
        moves = "it moves pixels" if augmentation.is_geometric else "whether it moves pixels is not known"
        raise NotApplicable(f"{moves}, and segments of a picture may then lie on each other")
    if before.shape != after.shape:
        raise NotApplicable("it changes the size or the channels of the picture")


@declare("segment_tokens", "token_batch", "segmented_image")
def segments_do_not_interfere(transform: Any, sample: Any, *, seed: int = 0) -> None:
    """If x and x' differ in the pixels of segment i alone, then T(x) and T(x') do too, under the same seed.

    Other segments are the same bit for bit: no pixel of segment i reaches them, no statistic and no draw. Of a picture,
    label 0 counts as a segment. Pictures are not for transforms that move pixels, as segments then land on each other, nor
    for those that pay no regard to the map: these treat the picture as a whole.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: Tokens, a batch of them, or a segmented image.
        seed: Where the draws start, and which segment is changed.

    Raises:
        PropertyFailed: If another segment's result changes.
        NotApplicable: If there are fewer than two segments, or T is not one that treats segments apart.

    Example:
        >>> from torchvision.transforms import v2
        >>> from segaug import PerSegment, SegmentedImage
        >>> picture = SegmentedImage(torch.tensor([[[0.25, 0.5]]]), torch.tensor([[1, 2]]))
        >>> segments_do_not_interfere(Augmentation(PerSegment(v2.ColorJitter(contrast=0.5)), is_geometric=False), picture)
    """
    augmentation = Augmentation.of(transform)
    if isinstance(sample, SegmentTokens):
        _tokens_apart(augmentation, sample, seed)
    else:
        _picture_apart(augmentation, sample, seed)


def _picture_apart(augmentation: Augmentation, sample: SegmentedImage, seed: int) -> None:
    labels, image = plain(sample.segments), plain(sample.image)
    present = labels.unique()
    if len(present) < 2:
        raise NotApplicable("the sample has fewer than two segments")
    before = augmentation.seeded(sample, seed)
    _unless_geometric(augmentation, image, before.image)
    if type(augmentation.given).__module__.partition(".")[0] != "segaug":
        unmapped = augmentation.seeded(SegmentedImage(sample.image, SegmentMap(torch.zeros_like(labels))), seed)
        if torch.equal(plain(unmapped.image), plain(before.image)):
            raise NotApplicable("it pays no regard to the map, so it treats the picture as a whole")
    label = int(present[seed % len(present)])
    inside = labels == label
    full = 255 if image.dtype == torch.uint8 else 1
    recolored = tv_tensors.Image(torch.where(inside, recolor(image, full), image))
    changed = SegmentedImage(recolored, sample.segments)
    after = augmentation.seeded(changed, seed)
    expected = plain(before.image)
    what = f"with other colours in label {label}, another segment's image"
    check_equal(expected, torch.where(inside, expected, plain(after.image)), what)
    check_equal(plain(before.segments), plain(after.segments), f"with other colours in label {label}, the map")


def _tokens_apart(augmentation: Augmentation, sample: SegmentTokens, seed: int) -> None:
    is_batch = sample.labels.ndim == 2
    has_pixels = (plain(sample.alpha) > 0).flatten(-2).any(-1)
    # Boxes tell where a token of a batch has gone to, and the background has none.
    places = (has_pixels & (sample.labels > 0 if is_batch else sample.labels >= 0)).nonzero()
    if int((sample.labels >= 0).sum()) < 2 or not len(places):
        raise NotApplicable("the sample has fewer than two segments")
    place = tuple(places[seed % len(places)].tolist())
    patches, boxes = plain(sample.patches).clone(), plain(sample.boxes).clone()
    patches[place] = recolor(patches[place], plain(sample.alpha)[place])
    boxes[place] = boxes[place] / 2
    before = augmentation.seeded(sample, seed)
    after = augmentation.seeded(_with(sample, patches=patches), seed)
    label = int(sample.labels[place])
    what = f"with other colours in the token at {list(place)} (label {label}), another token"
    own = torch.zeros(before.labels.shape, dtype=torch.bool)
    if is_batch:
        moved = augmentation.seeded(_with(sample, boxes=boxes), seed)
        if moved.boxes.shape == before.boxes.shape:
            own = (plain(moved.boxes) != plain(before.boxes)).any(-1)
    if before.labels.shape == after.labels.shape:
        keep = ~own
        kept_before, kept_after = _masked(before, keep), _masked(after, keep)
    else:
        kept_before, kept_after = before, after
    row = place[0] if is_batch else 0
    for i, (one, other) in enumerate(zip(images_of(kept_before), images_of(kept_after), strict=True)):
        if i == row:
            one, other = (_masked(tokens, tokens.labels != label) for tokens in (one, other))
        check_equal(real_tokens(one), real_tokens(other), f"{what} of image {i}" if is_batch else what)


def _with(tokens: SegmentTokens, **changed: torch.Tensor) -> SegmentTokens:
    names = ("patches", "alpha", "boxes", "areas", "labels")
    return SegmentTokens(**{name: changed.get(name, getattr(tokens, name)) for name in names})


def _masked(tokens: SegmentTokens, keep: torch.Tensor) -> SegmentTokens:
    """The others turned into padding, which is left out when they are compared."""
    return _with(tokens, labels=torch.where(keep, tokens.labels, -1))


@declare("segmented_image", "segment_tokens", "token_batch")
def conserves_partition(transform: Any, sample: Any, *, seed: int = 0, drops: bool | None = None) -> None:
    """The labels of T(x) are those of x: each token once, no map changed but by geometry, no label from nowhere.

    Of tokens, the labels of each image are the same multiset, padding aside; a subset where T drops segments on purpose. Of a
    picture, the map stays bit for bit if T is known not to be geometric; else it holds no label that was not there.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: A segmented image, tokens or a batch of them.
        seed: Where the draws start.
        drops: Whether T leaves segments out on purpose. None: if it is ``SegmentDrop``, or has a true attribute ``drops``.

    Raises:
        PropertyFailed: If a label is lost, doubled or made up.
        NotApplicable: If T is one of segaug's that exchange tokens between images, which give them new labels.

    Example:
        >>> from torchvision.transforms import v2
        >>> from segaug import SegmentedImage
        >>> picture = SegmentedImage(torch.zeros(1, 1, 2), torch.tensor([[3, 1]]))
        >>> conserves_partition(v2.RandomHorizontalFlip(), picture)
    """
    augmentation = Augmentation.of(transform)
    if isinstance(sample, SegmentedImage):
        before, after = plain(sample.segments), plain(augmentation.seeded(sample, seed).segments)
        if augmentation.is_geometric is False:
            check_equal(before, after, "the map, as it moves no pixels")
        new = sorted(set(after.flatten().tolist()) - set(before.flatten().tolist()) - {0})
        if new:
            raise PropertyFailed(f"the map has label {new[0]}, which was not there")
        return
    if mixes_images(augmentation):
        raise NotApplicable("it exchanges tokens between images, and gives them new labels on purpose")
    drops = drops_segments(augmentation) if drops is None else drops
    out = augmentation.seeded(sample, seed)
    for i, (one, other) in enumerate(zip(images_of(sample), images_of(out), strict=True)):
        expected, found = (sorted(real_tokens(tokens).labels.tolist()) for tokens in (one, other))
        # Labels name tokens, so none is there twice.
        holds = set(found) <= set(expected) and len(set(found)) == len(found) if drops else found == expected
        if not holds:
            wanted = "a part of " if drops else ""
            raise PropertyFailed(f"the labels of image {i} are {found}, expected {wanted}{expected}")
