"""Noise on the segments' place and size."""

import torch

from segaug._checks import check_choice, describe

__all__ = ["jitter_positions"]

# Boxes keep a side, and areas a value, of at least this (a tenth of a pixel on a canvas of 10,000) or what they had.
_SMALLEST = 1e-5


def jitter_positions(
    boxes: torch.Tensor,
    areas: torch.Tensor,
    box_noise: torch.Tensor,
    area_noise: torch.Tensor,
    mode: str = "corners",
) -> tuple[torch.Tensor, torch.Tensor]:
    """Add noise to boxes and areas (arXiv 2402.17863).

    ``"corners"``: every corner coordinate and the area get their own noise, added. ``"translate_scale"``: the box moves by
    the first two numbers of its noise and its area is multiplied by exp(area noise), the sides by the root of it; it
    stays on the canvas as a whole, so it moves no further than to the border and grows no larger than the canvas.

    Args:
        boxes: (..., 4) XYXY in [0, 1]; a box without extent (padding) or at -1 (background) is left as it is.
        areas: (...,) in (0, 1].
        box_noise: (..., 4), in canvas widths and heights; "translate_scale" uses the first two.
        area_noise: (...,), in canvas areas; "translate_scale" uses it as the logarithm of the factor.
        mode: "corners" or "translate_scale".

    Returns:
        The boxes, ordered and in [0, 1], and the areas, in (0, 1].

    Raises:
        ValueError: If the shapes do not fit together, or the mode is unknown.

    Example:
        >>> boxes, areas = torch.tensor([[0.25, 0.25, 0.5, 0.5]]), torch.tensor([0.05])
        >>> noise = torch.tensor([[0.25, 0.0, 0.0, 0.0]])
        >>> jitter_positions(boxes, areas, noise, torch.zeros(1), mode="translate_scale")
        (tensor([[0.5000, 0.2500, 0.7500, 0.5000]]), tensor([0.0500]))
    """
    check_choice("mode", mode, ("corners", "translate_scale"))
    if boxes.shape != (*areas.shape, 4) or box_noise.shape != boxes.shape or area_noise.shape != areas.shape:
        raise ValueError(
            "boxes and box_noise must have shape (..., 4), areas and area_noise (...,), got "
            f"{tuple(boxes.shape)}, {tuple(box_noise.shape)}, {tuple(areas.shape)} and {tuple(area_noise.shape)}"
        )
    if not boxes.is_floating_point() or not areas.is_floating_point():
        raise TypeError(f"boxes and areas must be float, got {describe(boxes)} and {describe(areas)}")
    low, high = boxes[..., :2], boxes[..., 2:]
    is_place = (high > low).all(-1)
    if mode == "corners":
        ends = torch.stack([low + box_noise[..., :2], high + box_noise[..., 2:]]).clamp_(0.0, 1.0)
        low, high = ends.amin(0), ends.amax(0)
        # A box that the noise has folded up keeps a side, so that it is never taken for padding.
        low = torch.minimum(low, 1.0 - torch.full_like(low, _SMALLEST))
        new_boxes = torch.cat([low, torch.maximum(high, low + _SMALLEST)], dim=-1)
        new_areas = (areas + area_noise).clamp_(max=1.0)
    else:
        side = high - low
        # The largest factor that the canvas has room for, and that the area, a share of the canvas, has room for.
        room = torch.minimum(1.0 / side.amax(-1).clamp(min=_SMALLEST), areas.clamp(min=_SMALLEST).rsqrt())
        growth = torch.minimum((area_noise * 0.5).exp(), room)
        side = (side * growth[..., None]).clamp_(_SMALLEST, 1.0)
        center = (low + high) * 0.5 + box_noise[..., :2]
        low = torch.minimum((center - side * 0.5).clamp_(min=0.0), 1.0 - side)
        new_boxes = torch.cat([low, (low + side).clamp_(max=1.0)], dim=-1)
        new_areas = (areas * growth.square()).clamp_(max=1.0)
    # Below the smallest there are single pixels of large pictures: no noise must not change them.
    new_areas = torch.maximum(new_areas, areas.clamp(max=_SMALLEST))
    return torch.where(is_place[..., None], new_boxes, boxes), torch.where(is_place, new_areas, areas)
