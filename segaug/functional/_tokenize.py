"""Cut all segments out of a picture and resize each to the same small size, for all segments at once."""

import torch

from segaug._checks import describe
from segaug.functional._labels import relabel, segment_table
from segaug.functional._resample import resize_weights

__all__ = ["cut_segments", "tokenize", "tokenize_masks"]

# Float values that one group of crops may take: 64 MiB.
_GROUP_VALUES = 2**24


def tokenize(
    image: torch.Tensor, labels: torch.Tensor, size: int, *, max_segments: int = 196, background: bool = True
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

    Returns:
        patches (..., N, C, P, P), alpha (..., N, P, P), boxes (..., N, 4), areas (..., N) and labels (..., N): the
        fields of :class:`~segaug.SegmentTokens`, padded to the image with the most tokens.

    Raises:
        ValueError: If the shapes do not fit together.

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
    values, counts, boxes = segment_table(labels)
    segments = labels.long()
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
    patches, alpha = cut_segments(image, segments, slots, boxes, size)
    return patches, alpha, _unit_boxes(boxes, values, image.shape[-2:]), _unit_areas(areas, image), values


def tokenize_masks(
    image: torch.Tensor, masks: torch.Tensor, size: int, *, max_segments: int = 196, background: bool = True
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Do the same from one mask per segment; what several masks hold is in several tokens.

    Args:
        image: (C, H, W), uint8, or float in [0, 1].
        masks: (M, H, W) bool. Mask i has label i + 1; an empty mask gives no token.
        size: P, the side of a patch in pixels.
        max_segments: How many segments to keep, the largest.
        background: Whether to add the background token, which also takes the masks over the budget.

    Returns:
        As :func:`tokenize`.

    Raises:
        ValueError: If the shapes do not fit together.

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
    patches, alpha = cut_segments(image, masks, slots, boxes, size)
    return patches, alpha, _unit_boxes(boxes, values, image.shape[-2:]), _unit_areas(areas, image), values


def cut_segments(
    image: torch.Tensor, segments: torch.Tensor, slots: torch.Tensor, boxes: torch.Tensor, size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Crop segments to their boxes, black outside them, and resize all to ``size``.

    Crops of like size are gathered together and resized by two matrix products, so the cost follows the summed area of
    the boxes.

    Args:
        image: (..., C, H, W), uint8, or float in [0, 1].
        segments: Labels (..., H, W) int64; or, for a single image, masks (M, H, W) bool.
        slots: (..., N) int64: the label (or the index of the mask) that each token shows; negative: nothing.
        boxes: (..., N, 4) int64: XYXY in pixels, half-open, within the picture.
        size: P, the side of a patch in pixels.

    Returns:
        patches (..., N, C, P, P) and alpha (..., N, P, P), in the image's dtype and range.

    Example:
        >>> image = torch.tensor([[[10, 20, 30, 40]]], dtype=torch.uint8)
        >>> labels = torch.tensor([[1, 1, 2, 1]])
        >>> patches, alpha = cut_segments(image, labels, torch.tensor([1]), torch.tensor([[0, 0, 4, 1]]), 4)
        >>> patches[0, 0, 0].tolist(), alpha[0, 0].tolist()
        ([10, 20, 0, 40], [255, 255, 0, 255])
    """
    leading = slots.shape[:-1]
    channels, height, width = image.shape[-3:]
    wanted, corners = slots.reshape(-1), boxes.reshape(-1, 4)
    # Where each token's picture, or mask, starts in the flattened ones.
    picture = torch.arange(leading.numel(), device=slots.device).repeat_interleave(slots.shape[-1]) * (height * width)
    pixels, work = _interleave(image), _work_dtype(image)
    member = segments.reshape(-1)
    used = (wanted >= 0).nonzero().squeeze(1)
    out = torch.zeros((len(wanted), channels + 1, size, size), dtype=work, device=image.device)
    sides = (corners[used, 2:] - corners[used, :2]).cpu()
    for group, (crop_width, crop_height) in _groups(sides, channels + 1):
        index = used[group.to(used.device)]
        count = len(index)
        x1, y1, x2, y2 = corners[index].unbind(-1)
        y = (y1[:, None] + torch.arange(crop_height, device=index.device)).clamp_(max=height - 1)
        x = (x1[:, None] + torch.arange(crop_width, device=index.device)).clamp_(max=width - 1)
        place = (y * width)[:, :, None] + x[:, None, :]
        if segments.dtype == torch.bool:
            inside = member[place + (wanted[index] * (height * width))[:, None, None]]
            place = place.view(-1)
        else:
            place = place.add_(picture[index, None, None]).view(-1)
            inside = torch.take(member, place).view(count, -1) == wanted[index, None]
        crops = _gather(pixels, place, inside.view(-1), work)
        start = torch.zeros_like(x1)
        down = resize_weights(start, y2 - y1, crop_height, size).to(work)
        across = resize_weights(start, x2 - x1, crop_width, size).to(work)
        lines = torch.bmm(down, crops.view(count, crop_height, -1))
        lines = lines.view(count, size, crop_width, -1).transpose(1, 2)
        tiles = torch.bmm(across, lines.reshape(count, crop_width, -1))
        out[index] = tiles.view(count, size, size, -1).permute(0, 3, 2, 1)[:, : channels + 1]
    full = 255 if image.dtype == torch.uint8 else 1
    if image.dtype == torch.uint8:
        out.round_()
    out = out.clamp_(0, full).to(image.dtype).view(*slots.shape, channels + 1, size, size)
    return out[..., :channels, :, :].contiguous(), out[..., channels, :, :].contiguous()


def _work_dtype(image: torch.Tensor) -> torch.dtype:
    return torch.float64 if image.dtype == torch.float64 else torch.float32


def _interleave(image: torch.Tensor) -> torch.Tensor:
    """Lay a picture out so that one gather moves whole pixels: colour, then full coverage.

    uint8: (pixels,) int32, four bytes each, the coverage in the byte behind the colour. Float: (pixels, C + 1).
    """
    channels = image.shape[-3]
    if image.dtype == torch.uint8:
        rows = torch.full((*image.shape[:-3], *image.shape[-2:], 4), 255, dtype=torch.uint8, device=image.device)
        rows[..., :channels] = image.movedim(-3, -1)
        return rows.view(torch.int32).reshape(-1)
    shape = (*image.shape[:-3], *image.shape[-2:], channels + 1)
    rows = torch.ones(shape, dtype=_work_dtype(image), device=image.device)
    rows[..., :channels] = image.movedim(-3, -1)
    return rows.view(-1, channels + 1)


def _gather(pixels: torch.Tensor, place: torch.Tensor, inside: torch.Tensor, work: torch.dtype) -> torch.Tensor:
    """Fetch pixels, black where not ``inside``: (places, 4 or C + 1)."""
    if pixels.ndim == 1:
        return torch.take(pixels, place).mul_(inside).view(torch.uint8).to(work)
    return pixels.index_select(0, place).mul_(inside[:, None])


def _groups(sides: torch.Tensor, channels: int) -> list[tuple[torch.Tensor, tuple[int, int]]]:
    """Split crops into groups of like size: indices, and the width and height that hold all of a group."""
    longest = sides.amax(-1) if len(sides) else sides.new_zeros(0)
    # Steps of a factor of 1.5; everything up to 16 pixels is one group.
    step = (longest.clamp(min=16).double() / 16).log2().div(0.585).ceil().long()
    groups = []
    for key in torch.unique(step):
        members = (step == key).nonzero().squeeze(1)
        width, height = sides[members].amax(0).tolist()
        most = max(1, _GROUP_VALUES // (width * height * channels))
        groups.extend((part, (width, height)) for part in members.split(most))
    return groups


def _largest(areas: torch.Tensor, budget: int) -> torch.Tensor:
    """Indices (..., budget) of the largest segments, ascending; slots that a map does not use have area 0."""
    return torch.argsort(areas, dim=-1, descending=True, stable=True)[..., :budget].sort(-1).values


def _drop_others(segments: torch.Tensor, values: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Set the pixels of segments that are not kept to 0."""
    dense, _ = relabel(segments)
    label = torch.zeros((*values.shape[:-1], values.shape[-1] + 1), dtype=torch.int64, device=values.device)
    label.scatter_(-1, kept + 1, values.gather(-1, kept))
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
    scale = torch.tensor([width, height, width, height], dtype=torch.float32, device=boxes.device)
    unit = torch.where((values > 0)[..., None], boxes / scale, 0.0)
    return torch.where((values == 0)[..., None], -1.0, unit)


def _unit_areas(areas: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    return areas.float() / max(1, image.shape[-2] * image.shape[-1])
