"""Cut all segments out of a picture and resize each to the same small size, for all segments at once."""

from functools import lru_cache

import torch

from segaug._checks import SUPPORTED_CHANNELS, check_int, describe
from segaug.functional._groups import group_by_size
from segaug.functional._labels import relabel, segment_table
from segaug.functional._resample import resize_weights

__all__ = ["cut_segments", "tokenize", "tokenize_masks"]

# Full coverage in the byte behind one or three of colour, as int32.
_COVERAGE_BYTE = {1: 255 << 8, 3: -(1 << 24)}
# Weights for all lengths up to this are kept: 4 MiB for patches of 16 pixels.
_LONGEST_IN_BANK = 256


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
        TypeError: If the image is neither uint8 nor float, or the labels are not integers.
        ValueError: If the shapes do not fit together, there are not 1 or 3 channels, or a number is out of range.

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
    _check_options(image, size, max_segments)
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
        TypeError: If the image is neither uint8 nor float, or the masks are not bool.
        ValueError: If the shapes do not fit together, there are not 1 or 3 channels, or a number is out of range.

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
    _check_options(image, size, max_segments)
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


def _check_options(image: torch.Tensor, size: int, max_segments: int) -> None:
    check_int("size", size, minimum=1)
    check_int("max_segments", max_segments, minimum=1)
    if image.dtype != torch.uint8 and not image.is_floating_point():
        raise TypeError(f"image must be uint8 or float in [0, 1], got {describe(image)}")
    if image.shape[-3] not in SUPPORTED_CHANNELS:
        raise ValueError(f"image must have 1 or 3 channels, got {describe(image)}")


def cut_segments(
    image: torch.Tensor, segments: torch.Tensor, slots: torch.Tensor, boxes: torch.Tensor, size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Crop segments to their boxes, black outside them, and resize all to ``size``.

    Crops of like size are gathered together and resized by two matrix products, so the cost follows the summed area of
    the boxes.

    Args:
        image: (..., C, H, W), uint8, or float in [0, 1].
        segments: Labels (..., H, W) int64 or int32; or, for a single image, masks (M, H, W) bool.
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
    device = image.device
    work = torch.float64 if image.dtype == torch.float64 else torch.float32
    wanted, corners = slots.reshape(-1), boxes.reshape(-1, 4)
    # Labels are compared in the type of ``segments``; one that it cannot hold is nowhere in there.
    most = len(segments) - 1 if segments.dtype == torch.bool else torch.iinfo(segments.dtype).max
    used = ((wanted >= 0) & (wanted <= most)).nonzero().squeeze(1)
    sides = corners[:, 2:] - corners[:, :2]
    order, groups = group_by_size(sides[used].cpu())
    if not groups:
        shape = (*slots.shape, channels, size, size)
        return image.new_zeros(shape), image.new_zeros((*slots.shape, size, size))
    # Tokens of a group lie side by side from here on; the last row is for slots that show nothing.
    sort = used.index_select(0, order.to(device))
    place_of_slot = torch.full((len(wanted),), len(sort), device=device)
    place_of_slot[sort] = torch.arange(len(sort), device=device)
    own, sides = wanted.index_select(0, sort)[:, None], sides.index_select(0, sort)
    # A crop may reach behind its box, even behind the picture: weights there are 0, so all that matters is that there
    # is something to read.
    tallest, widest = (max(shape[axis] for _, _, shape in groups) for axis in (1, 0))
    slack = tallest * width + widest
    pixels, member = _interleave(image, work, slack), _flatten_segments(segments, slack)
    own = own.to(member.dtype) if segments.dtype != torch.bool else own
    start = corners[:, 1] * width + corners[:, 0]
    if leading.numel() > 1:
        start += torch.arange(leading.numel(), device=device).repeat_interleave(slots.shape[-1]) * (height * width)
    along = _index(torch.arange(max(tallest, widest), device=device), pixels)
    down_rows = along * width
    pixel_start = _index(start.index_select(0, sort), pixels)[:, None]
    mask_start = own * (height * width) if segments.dtype == torch.bool else None
    # Columns first, so that each pass of the resize sums up neighbours in memory.
    tiles = torch.empty((len(sort) + 1, size, size * 4), dtype=work, device=device)
    tiles[-1] = 0
    for first, last, (crop_width, crop_height) in groups:
        count = last - first
        rows = pixel_start[first:last] + down_rows[:crop_height]
        place = (rows[:, :, None] + along[:crop_width]).view(count, -1)
        if mask_start is None:
            inside = member.index_select(0, place.view(-1)).view(count, -1) == own[first:last]
        else:
            inside = member.index_select(0, (place + mask_start[first:last]).view(-1))
        crops = _gather(pixels, place.view(-1), inside.view(-1), work).view(count, crop_height, crop_width * 4)
        lines = torch.bmm(_crop_weights(sides[first:last, 1], crop_height, size, work), crops)
        lines = _swap_pixels(lines.view(count, size, crop_width, 4))
        torch.bmm(_crop_weights(sides[first:last, 0], crop_width, size, work), lines, out=tiles[first:last])
    if image.dtype == torch.uint8:
        tiles.round_()
    else:
        # The weights add up to 1 only nearly; full coverage is full.
        tiles = torch.where(tiles > 1.0 - 1e-6, 1.0, tiles)
    unsorted = tiles.to(image.dtype).index_select(0, place_of_slot)
    out = unsorted.view(*slots.shape, size, size, 4).transpose(-3, -2).movedim(-1, -3)
    return out[..., :channels, :, :].contiguous(), out[..., channels, :, :].contiguous()


def _interleave(image: torch.Tensor, work: torch.dtype, slack: int) -> torch.Tensor:
    """Lay a picture out so that one gather moves whole pixels of four values: colour, then full coverage.

    uint8: (pixels + slack,) int32, a byte a value. Float: (pixels + slack, 4).
    """
    channels = image.shape[-3]
    count = image.numel() // channels
    if image.dtype == torch.uint8:
        planes = image.movedim(-3, 0).reshape(channels, -1).to(torch.int32)
        packed = torch.zeros(count + slack, dtype=torch.int32, device=image.device)
        # Little-endian: the coverage, 255, is the byte behind the colour. Where it is the highest, that is negative.
        own = packed[:count].fill_(_COVERAGE_BYTE[channels])
        for channel, plane in enumerate(planes):
            own.add_(plane, alpha=1 << (8 * channel))
        return packed
    rows = torch.ones((count + slack, 4), dtype=work, device=image.device)
    rows[:count, :channels] = image.movedim(-3, -1).reshape(-1, channels)
    return rows


def _flatten_segments(segments: torch.Tensor, slack: int) -> torch.Tensor:
    """Labels or masks, with something to read behind them."""
    member = torch.empty(segments.numel() + slack, dtype=segments.dtype, device=segments.device)
    member[: segments.numel()].view(segments.shape).copy_(segments)
    member[segments.numel() :] = 0
    return member


def _index(values: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """Indices of pixels in the narrowest type that holds them all."""
    return values.to(torch.int32) if len(pixels) < 2**31 else values


def _gather(pixels: torch.Tensor, place: torch.Tensor, inside: torch.Tensor, work: torch.dtype) -> torch.Tensor:
    """Fetch pixels, black where not ``inside``: (places, 4)."""
    if pixels.ndim == 1:
        return pixels.index_select(0, place).mul_(inside).view(torch.uint8).to(work)
    return pixels.index_select(0, place).mul_(inside[:, None])


def _swap_pixels(lines: torch.Tensor) -> torch.Tensor:
    """(K, P, W, 4) to (K, W, P * 4), moving pixels whole where a dtype is as wide as one."""
    count, size, width, _ = lines.shape
    if lines.dtype == torch.float32:
        return (
            lines.view(torch.complex128)
            .squeeze(-1)
            .transpose(1, 2)
            # contiguous() would leave the strides as they are where there is one row or column.
            .clone(memory_format=torch.contiguous_format)
            .view(torch.float32)
            .view(count, width, -1)
        )
    return lines.transpose(1, 2).reshape(count, width, size * 4)


def _crop_weights(length: torch.Tensor, longest: int, size: int, work: torch.dtype) -> torch.Tensor:
    """Weights (K, size, longest) that resize the first ``length`` pixels of each crop."""
    if longest > _LONGEST_IN_BANK:
        return resize_weights(torch.zeros_like(length), length, longest, size, work)
    # They depend on the length alone, so they are kept; a power of two, so that few banks are made.
    bank = _weight_bank(1 << max(4, (longest - 1).bit_length()), size, work, length.device)
    return bank.index_select(0, length)[..., :longest]


@lru_cache(maxsize=16)
def _weight_bank(longest: int, size: int, work: torch.dtype, device: torch.device) -> torch.Tensor:
    """Weights for every length up to ``longest``: (longest + 1, size, longest)."""
    lengths = torch.arange(longest + 1, device=device).clamp_(min=1)
    return resize_weights(torch.zeros_like(lengths), lengths, longest, size, work)


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
