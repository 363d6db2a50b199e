"""Colour adjustments of tokens, that see a segment's own pixels only."""

import math

import torch

from segaug._checks import describe
from segaug.functional._color import (
    BRIGHTNESS,
    CONTRAST,
    HUE,
    SATURATION,
    brighten,
    change_contrast,
    grayscale,
    jitter,
    saturate,
    shift_hue,
)
from segaug.functional._colors import TokenColors, on_tokens, per_segment, per_segment_numbers

__all__ = [
    "adjust_brightness",
    "adjust_contrast",
    "adjust_hue",
    "adjust_saturation",
    "color_jitter",
    "rgb_to_grayscale",
]


def adjust_brightness(patches: torch.Tensor, alpha: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Scale each segment's brightness.

    Args:
        patches: (..., C, H, W) premultiplied by alpha, uint8, or float in [0, 1]; C is 1 or 3.
        alpha: (..., H, W), in the dtype and range of ``patches``.
        factor: (...,), one per segment, at least 0; 1 changes nothing.

    Returns:
        Patches of the same shape and dtype, black outside the segment.

    Raises:
        ValueError: If the shapes do not fit together.

    Example:
        >>> patches, alpha = torch.full((2, 3, 4, 4), 0.25), torch.ones(2, 4, 4)
        >>> adjust_brightness(patches, alpha, torch.tensor([1.0, 2.0]))[:, 0, 0, 0].tolist()
        [0.25, 0.5]
    """
    numbers = per_segment_numbers("factor", factor, patches)
    return on_tokens(patches, alpha, lambda colors: brighten(colors, numbers))


def adjust_contrast(patches: torch.Tensor, alpha: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Scale each segment's contrast about the mean luma of its own pixels.

    Args:
        patches: (..., C, H, W) premultiplied by alpha, uint8, or float in [0, 1]; C is 1 or 3.
        alpha: (..., H, W), in the dtype and range of ``patches``.
        factor: (...,), one per segment, at least 0; 1 changes nothing, 0 leaves the mean.

    Returns:
        Patches of the same shape and dtype, black outside the segment.

    Raises:
        ValueError: If the shapes do not fit together.

    Example:
        >>> patches = torch.tensor([[[[0.25, 0.75, 0.0]]]])
        >>> alpha = torch.tensor([[[1.0, 1.0, 0.0]]])
        >>> adjust_contrast(patches, alpha, torch.tensor([0.0])).tolist()
        [[[[0.5, 0.5, 0.0]]]]
    """
    numbers = per_segment_numbers("factor", factor, patches)
    return on_tokens(patches, alpha, lambda colors: change_contrast(colors, numbers))


def adjust_saturation(patches: torch.Tensor, alpha: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Scale each segment's saturation.

    Args:
        patches: (..., C, H, W) premultiplied by alpha, uint8, or float in [0, 1]; with one channel nothing changes.
        alpha: (..., H, W), in the dtype and range of ``patches``.
        factor: (...,), one per segment, at least 0; 1 changes nothing, 0 leaves the luma.

    Returns:
        Patches of the same shape and dtype, black outside the segment.

    Raises:
        ValueError: If the shapes do not fit together.

    Example:
        >>> red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
        >>> adjust_saturation(red, torch.ones(1, 1, 1), torch.tensor([0.0])).flatten().mul(100).int().tolist()
        [29, 29, 29]
    """
    numbers = per_segment_numbers("factor", factor, patches)
    return on_tokens(patches, alpha, lambda colors: saturate(colors, numbers))


def adjust_hue(patches: torch.Tensor, alpha: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Turn each segment's hue.

    Args:
        patches: (..., C, H, W) premultiplied by alpha, uint8, or float in [0, 1]; with one channel nothing changes.
        alpha: (..., H, W), in the dtype and range of ``patches``.
        shift: (...,), one per segment, in turns of the circle: 0.5 gives the complementary hue.

    Returns:
        Patches of the same shape and dtype, black outside the segment.

    Raises:
        ValueError: If the shapes do not fit together.

    Example:
        >>> red = torch.tensor([255, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1)
        >>> alpha = torch.full((1, 1, 1), 255, dtype=torch.uint8)
        >>> adjust_hue(red, alpha, torch.tensor([0.5])).flatten().tolist()
        [0, 255, 255]
    """
    numbers = per_segment_numbers("shift", shift, patches, -math.inf)
    return on_tokens(patches, alpha, lambda colors: shift_hue(colors, numbers))


def rgb_to_grayscale(patches: torch.Tensor, alpha: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
    """Turn the chosen segments grey, in as many channels as before.

    Args:
        patches: (..., C, H, W) premultiplied by alpha, uint8, or float in [0, 1]; C is 1 or 3.
        alpha: (..., H, W), in the dtype and range of ``patches``.
        which: (...,) bool, one per segment.

    Returns:
        Patches of the same shape and dtype.

    Raises:
        ValueError: If the shapes do not fit together.

    Example:
        >>> green = torch.tensor([0, 200, 0], dtype=torch.uint8).view(1, 3, 1, 1)
        >>> alpha = torch.full((1, 1, 1), 255, dtype=torch.uint8)
        >>> rgb_to_grayscale(green, alpha, torch.tensor([True])).flatten().tolist()
        [117, 117, 117]
    """
    if which.dtype != torch.bool:
        raise TypeError(f"which must be bool, got {describe(which)}")
    chosen = per_segment("which", which, patches)
    gray = on_tokens(patches, alpha, grayscale)
    return torch.where(chosen.view(*patches.shape[:-3], 1, 1, 1), gray, patches)


def color_jitter(
    patches: torch.Tensor,
    alpha: torch.Tensor,
    order: torch.Tensor,
    brightness: torch.Tensor | None = None,
    contrast: torch.Tensor | None = None,
    saturation: torch.Tensor | None = None,
    hue: torch.Tensor | None = None,
) -> torch.Tensor:
    """Apply brightness, contrast, saturation and hue, each segment in its own order, as ``v2.ColorJitter`` does.

    Args:
        patches: (..., C, H, W) premultiplied by alpha, uint8, or float in [0, 1]; C is 1 or 3.
        alpha: (..., H, W), in the dtype and range of ``patches``.
        order: (..., 4) int64: a permutation of 0 (brightness), 1 (contrast), 2 (saturation) and 3 (hue) per segment.
        brightness: (...,) factor per segment; None leaves it out, as for the others.
        contrast: (...,) factor per segment.
        saturation: (...,) factor per segment.
        hue: (...,) shift per segment.

    Returns:
        Patches of the same shape and dtype, black outside the segment.

    Raises:
        ValueError: If the shapes do not fit together.

    Example:
        >>> patches, alpha = torch.full((1, 3, 2, 2), 0.25), torch.ones(1, 2, 2)
        >>> color_jitter(patches, alpha, torch.tensor([[0, 1, 2, 3]]), brightness=torch.tensor([2.0])).max().item()
        0.5
    """
    given = {BRIGHTNESS: brightness, CONTRAST: contrast, SATURATION: saturation, HUE: hue}
    names = {BRIGHTNESS: "brightness", CONTRAST: "contrast", SATURATION: "saturation", HUE: "hue"}
    factors = {
        key: per_segment_numbers(names[key], value, patches, -math.inf if key == HUE else 0.0)
        for key, value in given.items()
        if value is not None
    }
    if order.shape != (*patches.shape[:-3], 4):
        raise ValueError(f"order must have shape {(*patches.shape[:-3], 4)}, got {describe(order)}")
    if not bool((order.sort(-1).values == torch.arange(4, device=order.device)).all()):
        raise ValueError("order must hold permutations of 0, 1, 2 and 3")
    steps = order.reshape(-1, 4).to(patches.device)

    def change(colors: TokenColors) -> torch.Tensor:
        jitter(colors, steps, factors)
        return colors.values

    return on_tokens(patches, alpha, change)
