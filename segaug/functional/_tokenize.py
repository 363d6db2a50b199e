"""From a picture and its segments to the fields of tokens."""

from typing import Literal

import torch

from segaug._checks import SUPPORTED_CHANNELS, check_choice, check_int, describe
from segaug.functional._cut import cut_segments
from segaug.functional._labels import relabel, segment_table

__all__ = ["ASPECTS", "EDGES", "Aspect", "Edges", "tokenize", "tokenize_masks"]

Aspect = Literal["stretch", "keep"]
Edges = Literal["soft", "hard", "box"]
ASPECTS: tuple[Aspect, ...] = ("stretch", "keep")
EDGES: tuple[Edges, ...] = ("soft", "hard", "box")


def tokenize(
    image: torch.Tensor,
    labels: torch.Tensor,
    size: int,
    *,
    max_segments: int = 196,
    background: bool = True,
    aspect: Aspect = "stretch",
    edges: Edges = "soft",
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Turn a picture and its map into patches, coverage, boxes, areas and labels (arXiv 2402.17863).

    Each segment is cropped to its box, black outside itself, and resized (antialiased bilinear). Over ``max_segments``
    the largest stay, the earlier label at equal areas, and the rest join the background.

    Args:
        image: (..., C, H, W), uint8, or float in [0, 1].
        labels: (..., H, W) integers, at least 0, with the same leading dimensions.
        size: P, the side of a patch in pixels.
        max_segments: How many segments an image may have.
        background: Whether to add the background token: what no segment covers, cropped to the whole canvas.
        aspect: ``"stretch"`` makes both sides of a crop P. ``"keep"`` keeps its proportions: the longer side becomes P,
            and it lies in the middle of the patch, with black and no coverage around.
        edges: ``"soft"`` keeps the share of each patch's pixel that the segment covers. ``"hard"`` makes coverage full or
            0: full from a half on (or from the most that the segment has anywhere, if that is less), and colours
            straight. ``"box"`` shows the whole box, covered in full; the background token stays masked.

    Returns:
        patches (..., N, C, P, P), alpha (..., N, P, P), boxes (..., N, 4), areas (..., N) and labels (..., N): the
        fields of :class:`~segaug.SegmentTokens`, padded to the image with the most tokens.

    Raises:
        TypeError: If the image is neither uint8 nor float, or the labels are not integers.
        ValueError: If the shapes do not fit together, there are not 1 or 3 channels, or an option is out of range.

    Example:
        >>> image = torch.full((3, 4, 8), 200, dtype=torch.uint8)
        >>> labels = torch.zeros(4, 8, dtype=torch.int64)
        >>> labels[:, :2] = 5
        >>> patches, alpha, boxes, areas, labels = tokenize(image, labels, 2)
        >>> labels.tolist(), areas.tolist(), boxes[0].tolist()
        ([5, 0], [0.25, 0.75], [0.0, 0.0, 0.25, 1.0])
    """
    if image.ndim < 3 or image.shape[:-3] != labels.shape[:-2] or image.shape[-2:] != labels.shape[-2:]:
        raise ValueError(
            f"image (..., C, H, W) and labels (..., H, W) must fit together, got {describe(image)} and {describe(labels)}"
        )
    _check_options(image, size, max_segments, aspect, edges)
    values, counts, boxes = segment_table(labels)
    # Half as much to gather; labels beyond it stay as they are.
    segments = labels.to(torch.int32 if not values.numel() or int(values.max()) < 2**31 else torch.int64)
    if values.shape[-1] > max_segments:
        kept = _largest(counts[..., 1:], max_segments)
        if background:
            segments = _drop_others(segments, values, kept)
        values = values.gather(-1, kept)
        boxes = boxes.gather(-2, kept[..., None].expand(*kept.shape, 4))
        areas = counts[..., 1:].gather(-1, kept)
        rest = labels.shape[-2] * labels.shape[-1] - areas.sum(-1)
    else:
        areas, rest = counts[..., 1:], counts[..., 0]
    slots = values
    if background:
        values, slots, boxes, areas = _add_background(values, boxes, areas, rest, image.shape[-2:])
    patches, alpha = _cut(image, segments, slots, boxes, size, values, aspect, edges)
    return patches, alpha, _unit_boxes(boxes, values, image.shape[-2:]), _unit_areas(areas, image), values


def tokenize_masks(
    image: torch.Tensor,
    masks: torch.Tensor,
    size: int,
    *,
    max_segments: int = 196,
    background: bool = True,
    aspect: Aspect = "stretch",
    edges: Edges = "soft",
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Do the same from one mask per segment; what several masks hold is in several tokens.

    Args:
        image: (C, H, W), uint8, or float in [0, 1].
        masks: (M, H, W) bool. Mask i has label i + 1; an empty mask gives no token.
        size: P, the side of a patch in pixels.
        max_segments: How many segments to keep, the largest.
        background: Whether to add the background token, which also takes the masks over the budget.
        aspect: As for :func:`tokenize`.
        edges: As for :func:`tokenize`.

    Returns:
        As :func:`tokenize`.

    Raises:
        TypeError: If the image is neither uint8 nor float, or the masks are not bool.
        ValueError: If the shapes do not fit together, there are not 1 or 3 channels, or an option is out of range.

    Example:
        >>> image = torch.full((3, 4, 8), 200, dtype=torch.uint8)
        >>> masks = torch.ones(2, 4, 8, dtype=torch.bool)
        >>> tokenize_masks(image, masks, 2)[3].tolist()
        [1.0, 1.0, 0.0]
    """
    if image.ndim != 3 or masks.ndim != 3 or image.shape[-2:] != masks.shape[-2:]:
        raise ValueError(
            f"image (C, H, W) and masks (M, H, W) must fit together, got {describe(image)} and {describe(masks)}"
        )
    if masks.dtype != torch.bool:
        raise TypeError(f"masks must be bool, got {describe(masks)}")
    _check_options(image, size, max_segments, aspect, edges)
    height, width = image.shape[-2:]
    counts = masks.sum((-2, -1))
    kept = torch.argsort(counts, descending=True, stable=True)[:max_segments].sort().values
    kept = kept[counts[kept] > 0]
    masks, areas, values = masks[kept], counts[kept], kept + 1
    columns, rows = masks.any(-2).to(torch.uint8), masks.any(-1).to(torch.uint8)
    boxes = torch.stack(
        [columns.argmax(-1), rows.argmax(-1), width - columns.flip(-1).argmax(-1), height - rows.flip(-1).argmax(-1)],
        dim=-1,
    )
    slots = torch.arange(len(masks), device=masks.device)
    if background:
        rest = ~masks.any(0)
        masks = torch.cat([masks, rest[None]])
        values, has_pixels, boxes, areas = _add_background(values, boxes, areas, rest.sum(), image.shape[-2:])
        slots = torch.cat([slots, torch.where(has_pixels[-1:] < 0, -1, len(masks) - 1)])
    patches, alpha = _cut(image, masks, slots, boxes, size, values, aspect, edges)
    return patches, alpha, _unit_boxes(boxes, values, image.shape[-2:]), _unit_areas(areas, image), values


def _check_options(image: torch.Tensor, size: int, max_segments: int, aspect: str, edges: str) -> None:
    check_int("size", size, minimum=1)
    check_int("max_segments", max_segments, minimum=1)
    check_choice("aspect", aspect, ASPECTS)
    check_choice("edges", edges, EDGES)
    if image.dtype != torch.uint8 and not image.is_floating_point():
        raise TypeError(f"image must be uint8 or float in [0, 1], got {describe(image)}")
    if image.shape[-3] not in SUPPORTED_CHANNELS:
        raise ValueError(f"image must have 1 or 3 channels, got {describe(image)}")


def _cut(
    image: torch.Tensor,
    segments: torch.Tensor,
    slots: torch.Tensor,
    boxes: torch.Tensor,
    size: int,
    values: torch.Tensor,
    aspect: Aspect,
    edges: Edges,
) -> tuple[torch.Tensor, torch.Tensor]:
    whole = values > 0 if edges == "box" else None
    return cut_segments(
        image, segments, slots, boxes, size, keep_aspect=aspect == "keep", hard=edges == "hard", whole=whole
    )


def _largest(areas: torch.Tensor, budget: int) -> torch.Tensor:
    """Indices (..., budget) of the largest segments, ascending; slots that a map does not use have area 0."""
    return torch.argsort(areas, dim=-1, descending=True, stable=True)[..., :budget].sort(-1).values


def _drop_others(segments: torch.Tensor, values: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Set the pixels of segments that are not kept to 0."""
    dense, _ = relabel(segments)
    label = torch.zeros((*values.shape[:-1], values.shape[-1] + 1), dtype=segments.dtype, device=values.device)
    label.scatter_(-1, kept + 1, values.gather(-1, kept).to(segments.dtype))
    return label.gather(-1, dense.flatten(-2)).view(segments.shape)


def _add_background(
    values: torch.Tensor, boxes: torch.Tensor, areas: torch.Tensor, area: torch.Tensor, canvas: torch.Size
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Put the background token behind each map's own segments, before its padding.

    Returns labels, what to cut (-1: nothing, the token stays black), boxes and areas.
    """
    leading = values.shape[:-1]
    height, width = canvas
    box = torch.tensor([0, 0, width, height], device=boxes.device)
    place = (values >= 0).sum(-1, keepdim=True)
    padded = torch.cat([values, values.new_full((*leading, 1), -1)], dim=-1)
    slots = padded.scatter(-1, place, (area[..., None] > 0).long() - 1)
    boxes = torch.cat([boxes, boxes.new_zeros((*leading, 1, 4))], dim=-2)
    boxes = boxes.scatter(-2, place[..., None].expand(*leading, 1, 4), box.expand(*leading, 1, 4))
    areas = torch.cat([areas, areas.new_zeros((*leading, 1))], dim=-1)
    return padded.scatter(-1, place, 0), slots, boxes, areas.scatter(-1, place, area[..., None])


def _unit_boxes(boxes: torch.Tensor, values: torch.Tensor, canvas: torch.Size) -> torch.Tensor:
    height, width = canvas
    unit = boxes / torch.tensor([width, height, width, height], dtype=torch.float32, device=boxes.device)
    # The boxes of padding are empty already.
    return unit.masked_fill_((values == 0)[..., None], -1.0)


def _unit_areas(areas: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    return areas.float() / max(1, image.shape[-2] * image.shape[-1])
