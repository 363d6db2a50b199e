"""Cut segments out of a picture and resize each to the same small size, for all segments at once."""

import torch

from segaug.functional._crop_weights import crop_weights
from segaug.functional._groups import group_by_size

__all__ = ["cut_segments"]

# Full coverage in the byte behind one or three of colour, as int32.
_COVERAGE_BYTE = {1: 255 << 8, 3: -(1 << 24)}


def cut_segments(
    image: torch.Tensor,
    segments: torch.Tensor,
    slots: torch.Tensor,
    boxes: torch.Tensor,
    size: int,
    *,
    keep_aspect: bool = False,
    hard: bool = False,
    whole: torch.Tensor | None = None,
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
        keep_aspect: Whether a crop keeps its proportions: its longer side becomes P, and it lies in the middle of a patch
            that is black, with no coverage, around it. Otherwise both sides become P.
        hard: Whether a pixel of a patch is either covered in full and of the segment's straight colour, or black: full
            from a half on, or from the most that the segment has anywhere if that is less, so that none vanishes.
        whole: (..., N) bool: which tokens show all of their box, what is around the segment included. None: none.

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
    shows_all = None if whole is None else whole.reshape(-1).index_select(0, sort)[:, None]
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
            inside = member.index_select(0, (place + mask_start[first:last]).view(-1)).view(count, -1)
        if shows_all is not None:
            inside = inside | shows_all[first:last]
        crops = _gather(pixels, place.view(-1), inside.view(-1), work).view(count, crop_height, crop_width * 4)
        across, down = sides[first:last].unbind(-1)
        frame = (torch.maximum(across, down), max(crop_width, crop_height)) if keep_aspect else None
        lines = torch.bmm(crop_weights(down, crop_height, size, work, frame), crops)
        lines = _swap_pixels(lines.view(count, size, crop_width, 4))
        torch.bmm(crop_weights(across, crop_width, size, work, frame), lines, out=tiles[first:last])
    if hard:
        _harden(tiles.view(-1, 4), channels, size * size, 255.0 if image.dtype == torch.uint8 else 1.0)
    if image.dtype == torch.uint8:
        tiles.round_()
    else:
        # The weights add up to 1 only nearly; full coverage is full.
        tiles = torch.where(tiles > 1.0 - 1e-6, 1.0, tiles)
    unsorted = tiles.to(image.dtype).index_select(0, place_of_slot)
    out = unsorted.view(*slots.shape, size, size, 4).transpose(-3, -2).movedim(-1, -3)
    return out[..., :channels, :, :].contiguous(), out[..., channels, :, :].contiguous()


def _harden(pixels: torch.Tensor, channels: int, patch: int, full: float) -> None:
    """Make coverage 0 or full and colours straight, in place; ``pixels`` are those of patches one after another."""
    coverage = pixels[:, channels]
    most = coverage.view(-1, patch).amax(-1, keepdim=True)
    # Coverage adds up to a half, or to the same in two places, only nearly.
    bound = most.clamp(max=full / 2).mul_(1.0 - 1e-5).expand(-1, patch).reshape(-1)
    scale = torch.where((coverage >= bound) & (coverage > 0), full / coverage, 0.0)
    pixels.mul_(scale[:, None]).clamp_(max=full)
    # Times its own reciprocal, a number is 1 only nearly.
    coverage.copy_(torch.where(scale > 0, full, 0.0))


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
