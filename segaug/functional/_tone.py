"""Tone: what maps each level of a segment to another, as Posterize, Solarize, Equalize and their kin do.

The functions on ``Colors`` follow torchvision's functionals of their names step by step, so uint8 comes out bit for bit as
from there. Extremes and histograms count each segment's own pixels, those with any coverage, once each.
"""

import torch

from segaug.functional._colors import Colors

__all__: list[str] = []


def _spread(colors: Colors, value: torch.Tensor | float) -> torch.Tensor | float:
    """One number for all segments, or one per segment, spread over the pixels."""
    return colors.per_pixel(value.to(colors.values.dtype)) if isinstance(value, torch.Tensor) else value


def invert(colors: Colors) -> torch.Tensor:
    """Subtract from the largest value."""
    return (255.0 if colors.levels else 1.0) - colors.values


def posterize(colors: Colors, bits: torch.Tensor | int) -> torch.Tensor:
    """Keep the highest ``bits`` of eight, one number (M,) per segment or one for all."""
    # Powers of two, so that every product below is exact.
    steps = _spread(colors, 2.0**bits)
    if colors.levels:
        return (colors.values * (steps / 256.0)).floor_().mul_(256.0 / steps)
    return (colors.values * steps).floor_().clamp_(max=steps - 1.0).mul_(1.0 / steps)


def solarize(colors: Colors, threshold: torch.Tensor | float) -> torch.Tensor:
    """Invert values from ``threshold`` on, one (M,) per segment or one for all, in the range of the values."""
    return torch.where(colors.values >= _spread(colors, threshold), invert(colors), colors.values)


def autocontrast(colors: Colors) -> torch.Tensor:
    """Stretch each channel of each segment from its darkest to its brightest pixel over the whole range."""
    full = 255.0 if colors.levels else 1.0
    low, high = colors.extremes()
    flat = high <= low
    low = torch.where(flat, 0.0, low)
    scale = torch.where(flat, 1.0, (high - low) * (1.0 / full))
    stretched = (colors.values - colors.per_pixel(low)).div_(colors.per_pixel(scale)).clamp_(0.0, full)
    return stretched.floor_() if colors.levels else stretched


def equalize(colors: Colors) -> torch.Tensor:
    """Spread each channel of each segment so that its levels are about equally frequent, by Pillow's rule.

    By that rule a segment stays as it is unless 255 of its pixels are darker than its brightest level.
    """
    # Half precision rounds 255.999 up.
    levels = (colors.values if colors.levels else (colors.values * 255.999).clamp_(max=255.0)).long()
    counts = colors.histogram(levels)
    below = counts.cumsum(-1, dtype=torch.int32)
    total = below[..., -1:]
    # The brightest level that occurs is the first at which all pixels are counted.
    brightest = counts.gather(-1, (below >= total).to(torch.uint8).argmax(-1, keepdim=True))
    step = (total - brightest).div_(255, rounding_mode="floor")
    # In float, which is faster; quotients up to 255 are exact enough to be cut off.
    table = ((below - counts + step // 2).float() / step.clamp(min=1)).floor_().clamp_(max=255.0)
    table = torch.where(step > 0, table, torch.arange(256.0, device=table.device))
    # Level 0 stays; below it counts no pixel.
    spread = colors.look_up(table.to(colors.values.dtype), levels)
    return spread if colors.levels else spread.mul_(1.0 / 255.0)
