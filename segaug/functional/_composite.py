"""Segments that have changed, put back into their picture."""

import torch

from segaug._checks import SUPPORTED_CHANNELS, describe
from segaug._optional import require

__all__ = ["composite_segments", "fill_holes", "mask_boxes", "paint_order"]

# Radius of the neighbourhood that inpainting looks at, in pixels: OpenCV's own example.
_RADIUS = 3.0


def paint_order(areas: torch.Tensor) -> torch.Tensor:
    """Rank segments for painting: the larger first, so that the smaller lie on top.

    Args:
        areas: (S,) pixels of each segment.

    Returns:
        (S,) int64: 0 is painted first. Of equal areas the first lies on top, as in ``SegmentMap.from_masks``.

    Example:
        >>> paint_order(torch.tensor([5, 90, 5])).tolist()
        [2, 0, 1]
    """
    order = areas.flip(0).argsort(descending=True, stable=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(areas), device=areas.device)
    return rank.flip(0)


def composite_segments(
    image: torch.Tensor,
    labels: torch.Tensor,
    rank: torch.Tensor,
    colors: torch.Tensor,
    alpha: torch.Tensor,
    place: torch.Tensor,
    owner: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Paint pixels of segments over a picture, by alpha, in painter's order.

    A pixel is hidden where a segment that lies higher is in the picture already. It takes the label of a segment that
    covers at least half of it.

    Args:
        image: (C, H, W) uint8, or float in [0, 1].
        labels: (H, W) int64 in [0, S]; 0 is in no segment and lies lowest.
        rank: (S,) int64: of two segments the one of the higher rank, all different and at least 0, lies on top.
        colors: (C, M) what to paint, premultiplied by alpha, in the dtype of ``image``.
        alpha: (M,) coverage in the dtype and range of ``image``.
        place: (M,) int64: index of the pixel in the flattened picture. A segment paints a pixel at most once.
        owner: (M,) int64 in [1, S]: the segment.

    Returns:
        The new image and labels. Pixels that nothing is painted on are equal bit for bit.

    Raises:
        ValueError: If the shapes or dtypes do not fit together.

    Example:
        >>> image, labels = torch.zeros(1, 1, 3), torch.tensor([[0, 2, 0]])
        >>> rank, owner, place = torch.tensor([0, 1]), torch.tensor([1, 1]), torch.tensor([0, 1])
        >>> new, now = composite_segments(image, labels, rank, torch.ones(1, 2), torch.ones(2), place, owner)
        >>> new.tolist(), now.tolist()
        ([[[1.0, 0.0, 0.0]]], [[1, 2, 0]])
    """
    _check_image(image, labels)
    count = len(place)
    if colors.shape != (len(image), count) or alpha.shape != (count,) or owner.shape != (count,):
        raise ValueError(
            "colors (C, M), alpha (M,), place (M,) and owner (M,) must fit together, got "
            f"{describe(colors)}, {describe(alpha)}, {describe(place)} and {describe(owner)}"
        )
    if colors.dtype != image.dtype or alpha.dtype != image.dtype:
        raise ValueError(f"colors and alpha must have the dtype of image, got {describe(colors)} for {describe(image)}")
    levels = image.dtype == torch.uint8
    full, work = (255.0 if levels else 1.0), (torch.float64 if image.dtype == torch.float64 else torch.float32)
    height = torch.cat([rank.new_full((1,), -1), rank])
    base = labels.reshape(-1)
    shown = ((alpha > 0) & (height[owner] >= height[base[place]])).nonzero().squeeze(1)
    # What lies on one pixel side by side, the lowest first.
    shown = shown[(place[shown] * (len(height) + 1) + height[owner[shown]]).argsort()]
    place, owner, alpha = (values.index_select(0, shown) for values in (place, owner, alpha))
    is_first = torch.ones_like(place, dtype=torch.bool)
    is_first[1:] = place[1:] != place[:-1]
    starts = is_first.nonzero().squeeze(1)
    pixel = is_first.cumsum(0) - 1
    layer = torch.arange(len(place), device=place.device) - starts.index_select(0, pixel)
    # As many steps as segments lie on one pixel, which are few.
    steps = [(layer == step).nonzero().squeeze(1) for step in range(int(layer.max()) + 1 if len(layer) else 0)]
    pixels = place.index_select(0, starts)
    new_image, new_labels = image.flatten(1).clone(), base.clone()
    below = 1.0 - alpha.to(work) / full
    # Channel by channel: indexing along any but the first dimension is many times slower.
    for plane, values in zip(new_image, colors, strict=True):
        over = values.index_select(0, shown).to(work)
        canvas = plane.index_select(0, pixels).to(work)
        for now in steps:
            at = pixel.index_select(0, now)
            mixed = torch.addcmul(over.index_select(0, now), canvas.index_select(0, at), below.index_select(0, now))
            canvas.index_copy_(0, at, mixed)
        canvas.clamp_(0.0, full)
        plane.index_copy_(0, pixels, (canvas.round_() if levels else canvas).to(image.dtype))
    # The highest that covers half of a pixel, and layers go upwards.
    for now in steps:
        half = now[alpha.index_select(0, now).to(work) >= full / 2]
        new_labels.index_copy_(0, place.index_select(0, half), owner.index_select(0, half))
    return new_image.view(image.shape), new_labels.view(labels.shape)


def fill_holes(image: torch.Tensor, holes: torch.Tensor, method: str) -> torch.Tensor:
    """Fill pixels of a picture from the others.

    Args:
        image: (C, H, W) uint8, or float in [0, 1]; C is 1 or 3.
        holes: (H, W) bool: what to fill.
        method: ``"mean"``: the mean colour of the other pixels. ``"inpaint"``: they are continued inwards by OpenCV's
            ``inpaint`` (Telea, 2004), on the CPU; it needs the extra ``inpaint``. Where nothing else is left, both give
            the mean of all.

    Returns:
        The image with the holes filled, in its dtype; all other pixels are equal bit for bit.

    Raises:
        ImportError: If OpenCV is not installed.
        ValueError: If ``method`` is another, or the shapes do not fit together.

    Example:
        >>> fill_holes(torch.tensor([[[0.25, 0.75, 0.0]]]), torch.tensor([[False, False, True]]), "mean").tolist()
        [[[0.25, 0.75, 0.5]]]
    """
    _check_image(image, holes)
    if holes.dtype != torch.bool:
        raise ValueError(f"holes must be bool, got {describe(holes)}")
    if method not in ("mean", "inpaint"):
        raise ValueError(f"method must be 'mean' or 'inpaint', got {method!r}")
    if not bool(holes.any()):
        return image
    # Float64: a mean of many levels.
    rest = (~holes).double()
    count = rest.sum()
    if not bool(count):
        rest, count = torch.ones_like(rest), rest.new_tensor(float(rest.numel()))
    elif method == "inpaint":
        return _inpaint(image, holes)
    mean = image.flatten(1).double() @ rest.flatten() / count
    color = (mean.round() if image.dtype == torch.uint8 else mean).to(image.dtype)
    return torch.where(holes, color[:, None, None], image)


def mask_boxes(masks: torch.Tensor) -> torch.Tensor:
    """Find the bounding box of each mask.

    Args:
        masks: (..., H, W) bool.

    Returns:
        (..., 4) int64: XYXY in pixels, half-open; 0 for an empty mask.

    Example:
        >>> mask_boxes(torch.tensor([[[False, True, True]], [[False, False, False]]])).tolist()
        [[1, 0, 3, 1], [0, 0, 0, 0]]
    """
    sides = []
    for line in (masks.any(-2), masks.any(-1)):
        length = line.shape[-1]
        at = torch.arange(length, device=masks.device)
        first = torch.where(line, at, length).amin(-1) if length else line.new_zeros(line.shape[:-1], dtype=torch.int64)
        end = torch.where(line, at + 1, 0).amax(-1) if length else first
        sides.append((torch.where(end > 0, first, 0), end))
    (left, right), (top, bottom) = sides
    return torch.stack([left, top, right, bottom], dim=-1)


def _check_image(image: torch.Tensor, layer: torch.Tensor) -> None:
    if image.ndim != 3 or image.shape[0] not in SUPPORTED_CHANNELS or layer.shape != image.shape[-2:]:
        raise ValueError(
            f"image must have shape (C, H, W) with 1 or 3 channels, and the other (H, W), got {describe(image)} and "
            f"{describe(layer)}"
        )


def _inpaint(image: torch.Tensor, holes: torch.Tensor) -> torch.Tensor:
    cv2 = require("cv2", extra="inpaint")
    mask = holes.to(torch.uint8).cpu().numpy()
    if image.dtype == torch.uint8:
        array = cv2.inpaint(image.movedim(0, -1).contiguous().cpu().numpy(), mask, _RADIUS, cv2.INPAINT_TELEA)
        filled = torch.from_numpy(array).view(*holes.shape, len(image)).movedim(-1, 0)
    else:
        # OpenCV takes floats one channel at a time, and only those from 0 to 255: on [0, 1] its terms overshoot.
        planes = [cv2.inpaint(plane.numpy(), mask, _RADIUS, cv2.INPAINT_TELEA) for plane in image.cpu().float() * 255]
        filled = (torch.stack([torch.from_numpy(plane) for plane in planes]) / 255).clamp_(0.0, 1.0)
    return torch.where(holes, filled.to(device=image.device, dtype=image.dtype), image)
