"""Samples with equal segments apart from each other, and what became of each."""

from typing import Any

import torch
from torchvision import tv_tensors

from segaug.functional import mask_boxes
from segaug.structures import SegmentedImage, SegmentMap, SegmentTokens, collate
from segaug.testing._compare import plain
from segaug.testing._errors import NotApplicable
from segaug.testing._outcomes import Outcome, outcome

__all__ = ["segment_outcomes", "spread"]


def spread(sample: Any, segments: int) -> Any:
    """A sample with copies of the first segment of a given one, side by side, and a background.

    In a picture they stand on the diagonal with space between them, so that what moves the whole picture can be told from
    what changes each segment in its place.

    Raises:
        NotApplicable: If there is no segment.
    """
    if isinstance(sample, SegmentedImage):
        return _spread_picture(sample, segments)
    if sample.labels.ndim == 1:
        return _spread_tokens(sample, segments)
    tokens = _spread_tokens(sample[0], segments)
    return collate([tokens] * max(2, len(sample.labels)))


def _spread_picture(sample: SegmentedImage, segments: int) -> SegmentedImage:
    labels = plain(sample.segments)
    found = labels[labels > 0]
    if found.numel() == 0:
        raise NotApplicable("the sample has no segment")
    is_first = labels == found.min()
    left, top, right, bottom = (int(bound) for bound in mask_boxes(is_first[None])[0])
    patch = plain(sample.image)[:, top:bottom, left:right]
    mask = is_first[top:bottom, left:right]
    height, width = mask.shape
    # A tile's space around each: what turns or grows in its place does not reach its neighbour.
    rows, columns = (2 * segments + 1) * height, (2 * segments + 1) * width
    # Not flat, so that a change of the background shows; alike around each, so that a blur makes no difference.
    period = (torch.arange(len(patch) * 4 * height * width) * 7919 % 251).view(len(patch), 2 * height, 2 * width)
    noise = period.repeat(1, segments + 1, segments + 1)[:, :rows, :columns]
    image = noise.to(patch.dtype) / 255 if patch.is_floating_point() else noise.to(patch.dtype)
    spread_labels = torch.zeros(rows, columns, dtype=torch.int64)
    for i in range(segments):
        place = (
            slice((2 * i + 1) * height, (2 * i + 2) * height),
            slice((2 * i + 1) * width, (2 * i + 2) * width),
        )
        image[(slice(None), *place)] = patch
        spread_labels[place] = torch.where(mask, i + 1, 0)
    return SegmentedImage(tv_tensors.Image(image), SegmentMap(spread_labels))


def _spread_tokens(sample: SegmentTokens, segments: int) -> SegmentTokens:
    places = (sample.labels > 0).nonzero().flatten()
    if not len(places):
        raise NotApplicable("the sample has no segment")
    patch, alpha = (plain(leaf)[int(places[0])] for leaf in (sample.patches, sample.alpha))
    count = segments + 1
    start = torch.arange(segments) / count
    boxes = torch.stack([start, start / 2, start + 0.5 / count, start / 2 + 0.25], -1)
    # With a background token no segment has to stay because it is the last.
    return SegmentTokens(
        tv_tensors.Image(patch.expand(count, *patch.shape).clone()),
        tv_tensors.Mask(alpha.expand(count, *alpha.shape).clone()),
        torch.cat([boxes, -torch.ones(1, 4)]).float(),
        torch.full((count,), 0.1 / count),
        torch.tensor([*range(1, segments + 1), 0]),
    )


def segment_outcomes(given: Any, returned: Any, segments: int) -> list[Outcome]:
    """The outcome of each segment that ``spread`` made, and that of the background last.

    In a picture a segment's are its map and its inner pixels. What fills the place that it has left may well depend on the
    others, as the mean colour of what did not change does; and that shines through at its edge.

    Raises:
        NotApplicable: If they cannot be told apart any more, as the whole picture was moved, or others came in.
    """
    if isinstance(given, SegmentedImage):
        return _picture_outcomes(given, returned, segments)
    if given.labels.ndim == 2:
        returned = returned[0]
    found = []
    for label in (*range(1, segments + 1), 0):
        places = (returned.labels == label).nonzero().flatten()
        if len(places) > 1:
            raise NotApplicable("it brings in other segments")
        slot = [plain(leaf)[places] for leaf in (returned.patches, returned.alpha, returned.boxes, returned.areas)]
        found.append(outcome(slot))
    if not set(returned.labels[returned.labels >= 0].tolist()) <= set(range(segments + 1)):
        raise NotApplicable("it brings in other segments")
    return found


def _picture_outcomes(given: SegmentedImage, returned: SegmentedImage, segments: int) -> list[Outcome]:
    before, after = plain(given.segments), plain(returned.segments)
    image = plain(returned.image)
    if before.shape != after.shape or image.shape[-2:] != before.shape:
        raise NotApplicable("it changes the size of the picture")
    boxes = mask_boxes(torch.stack([before == i + 1 for i in range(segments)]))
    has_inner = bool(_inner(before == 1).any())
    found = []
    outside = torch.ones_like(before, dtype=torch.bool)
    for i, (left, top, right, bottom) in enumerate(boxes.tolist()):
        part = after[top:bottom, left:right]
        if ((part > 0) & (part != i + 1)).any():
            raise NotApplicable("it moves segments to where others were, as a transform of the whole picture does")
        # What spills over an edge, as a turned segment does, is not the background's.
        spill = (bottom - top + 1) // 2
        outside[max(0, top - spill) : bottom + spill, max(0, left - spill) : right + spill] = False
        inner = _inner(after == i + 1) if has_inner else after == i + 1
        found.append(outcome([part, torch.where(inner, image, 0)[:, top:bottom, left:right]]))
    return [*found, outcome([image[:, outside & (after == 0) & (before == 0)]])]


def _inner(mask: torch.Tensor) -> torch.Tensor:
    """The pixels whose eight neighbours are in the mask too."""
    outside = torch.nn.functional.pad((~mask).float(), (1, 1, 1, 1), value=1.0)
    return torch.nn.functional.max_pool2d(outside[None], 3, 1)[0] == 0
