"""Colour kernels on views: every segment its own factor, all segments at once.

Each follows the arithmetic of the torchvision functional of its name, so that a segment with a full mask comes out as
from there.
"""

from typing import Any

import torch

from segaug._checks import describe
from segaug.functional._colors import Change, Colors, PictureColors

__all__ = [
    "BRIGHTNESS",
    "CONTRAST",
    "HUE",
    "SATURATION",
    "brighten",
    "change_contrast",
    "grayscale",
    "jitter",
    "luma",
    "permute_channels",
    "saturate",
    "shift_hue",
]

_TINY, _HUGE = 1e-30, 1e30
# ColorJitter's order of the four, as indices of its permutation.
BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)


def _quantize(values: torch.Tensor, levels: bool) -> torch.Tensor:
    return values.floor_() if levels else values


def _gray(values: torch.Tensor, levels: bool) -> torch.Tensor:
    """Luma of (C, ...)."""
    if len(values) == 1:
        return values[0]
    red, green, blue = values
    return _quantize(red.mul(0.2989).add_(green, alpha=0.587).add_(blue, alpha=0.114), levels)


def _blend(colors: Colors, other: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Mix with ``other``, which gets 1 - factor."""
    ratio = colors.per_pixel(factor.to(colors.values.dtype))
    # In double first, as a Python float would be: gray pixels must come out exactly.
    rest = colors.per_pixel((1.0 - factor.double()).to(colors.values.dtype))
    mixed = (colors.values * ratio).addcmul_(other, rest)
    return _quantize(mixed.clamp_(0, 255 if colors.levels else 1), colors.levels)


def brighten(colors: Colors, factor: torch.Tensor) -> torch.Tensor:
    """Scale the values."""
    scaled = colors.values * colors.per_pixel(factor.to(colors.values.dtype))
    return _quantize(scaled.clamp_(0, 255 if colors.levels else 1), colors.levels)


def change_contrast(colors: Colors, factor: torch.Tensor) -> torch.Tensor:
    """Mix with the segment's mean luma."""
    return _blend(colors, colors.mean(_gray(colors.values, colors.levels)), factor)


def saturate(colors: Colors, factor: torch.Tensor) -> torch.Tensor:
    """Mix with the luma; a single channel stays."""
    if len(colors.values) == 1:
        return colors.values
    return _blend(colors, _gray(colors.values, colors.levels), factor)


def shift_hue(colors: Colors, shift: torch.Tensor) -> torch.Tensor:
    """Turn the hue by ``shift`` of the circle; a single channel stays."""
    values = colors.values
    if len(values) == 1:
        return values
    if colors.levels:
        values = values * (1.0 / 255.0)
    red, green, blue = values
    value = torch.maximum(torch.maximum(red, green), blue)
    spread = value - torch.minimum(torch.minimum(red, green), blue)
    # Gray has neither hue nor saturation: 0 over anything. Comparing and selecting is slow next to arithmetic, so below
    # choices are products with 0 or 1, which are exact.
    saturation = spread / value.clamp(min=_TINY)
    away = (value - values).div_(spread.clamp_(min=_TINY))
    not_red, not_green = away[:2].mul(_HUGE).clamp_(max=1.0)
    hue = (away[1] + 4.0).sub_(away[0]).mul_(not_green)
    hue = hue.addcmul_((away[0] + 2.0).sub_(away[2]), 1.0 - not_green).mul_(not_red)
    hue = hue.addcmul_(away[2] - away[1], 1.0 - not_red)
    # As fmod and remainder by 1 of operands for which this is exact.
    hue = hue.mul_(1.0 / 6.0).add_(1.0)
    hue = hue.sub_(hue.floor()).add_(colors.per_pixel(shift))
    hue = hue.sub_(hue.floor()).mul_(6.0)
    sextant = hue.floor()
    part = hue.sub_(sextant).mul_(saturation)
    rest = saturation.neg_().add_(1.0)
    low = (rest * value).clamp_(0.0, 1.0)
    # One channel is the value, one is the lowest, and one on its way down (odd sextants) or up (even ones).
    odd = sextant.mul(0.5)
    odd = odd.sub_(odd.floor()).mul_(2.0)
    ramp = (1.0 - part).mul_(odd).addcmul_(part.add_(rest), 1.0 - odd).mul_(value).clamp_(0.0, 1.0)
    out = torch.empty_like(values)
    # Above 0 where a channel is the value, below where it is the lowest.
    torch.sub(sextant, 2.5, out=out[0]).abs_().sub_(1.5)
    torch.sub(sextant, 1.5, out=out[1]).abs_().neg_().add_(1.5)
    torch.sub(sextant, 3.5, out=out[2]).abs_().neg_().add_(1.5)
    out.mul_(4.0).add_(ramp)
    out = torch.minimum(torch.maximum(out, low), value)
    return out.mul_(255.999).floor_() if colors.levels else out


def luma(colors: Colors) -> torch.Tensor:
    """The luma, without a dimension of channels."""
    return _gray(colors.values, colors.levels)


def permute_channels(colors: Colors, permutation: torch.Tensor) -> torch.Tensor:
    """Put channel ``permutation[:, i]`` of each segment in place i: permutation (M, C)."""
    values = colors.values
    if permutation.shape[-1] != len(values):
        raise ValueError(f"permutation must have one entry per channel ({len(values)}), got {describe(permutation)}")
    return values.gather(0, colors.per_pixel(permutation.T).expand_as(values))


def grayscale(colors: Colors) -> torch.Tensor:
    """Put the luma in every channel."""
    return _gray(colors.values, colors.levels).expand(colors.values.shape)


_OPERATIONS = {BRIGHTNESS: brighten, CONTRAST: change_contrast, SATURATION: saturate, HUE: shift_hue}


def jitter(colors: Colors, order: torch.Tensor, factors: dict[int, torch.Tensor]) -> None:
    """Apply the four in each segment's own order: order (M, 4), factors {operation: (M,)}."""

    def make_change(operations: tuple[int, ...]) -> Change:
        def change(part: Any, rows: torch.Tensor) -> torch.Tensor:
            for operation in operations:
                part.values = _OPERATIONS[operation](part, factors[operation][rows])
            return part.values

        return change

    if len(factors) <= 1:
        for operation, factor in factors.items():
            colors.values = _OPERATIONS[operation](colors, factor)
        return
    used = torch.tensor(sorted(factors), device=order.device)
    order = order[torch.isin(order, used)].view(len(order), len(factors))
    if isinstance(colors, PictureColors) or len(factors) <= 2:
        # Segments of one order together; pixels of a picture are then moved once only.
        digits = 4 ** torch.arange(len(factors), device=order.device)
        codes, group = torch.unique((order * digits).sum(-1), return_inverse=True)
        orders = (codes[:, None] // digits % 4).tolist()
        colors.on_groups(group, {key: make_change(tuple(own)) for key, own in enumerate(orders)})
        return
    changes = {operation: make_change((operation,)) for operation in factors}
    for step in order.unbind(-1):
        colors.on_groups(step, changes)
