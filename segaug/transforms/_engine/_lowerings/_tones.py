"""Invert, posterize, solarize, autocontrast and equalize, each segment with a probability."""

from typing import Any

import torch
from torchvision.transforms import v2

from segaug.functional._colors import Colors
from segaug.functional._tone import autocontrast, equalize, invert, posterize, solarize
from segaug.transforms._engine._lowering import register_lowering
from segaug.transforms._engine._lowerings._gate import GatedColorLowering

__all__: list[str] = []


@register_lowering(v2.RandomInvert)
class _RandomInvert(GatedColorLowering):
    def change(self, transform: Any, colors: Colors) -> torch.Tensor:
        return invert(colors)


@register_lowering(v2.RandomPosterize)
class _RandomPosterize(GatedColorLowering):
    def change(self, transform: Any, colors: Colors) -> torch.Tensor:
        bits = transform.bits
        if not isinstance(bits, int) or not 0 <= bits <= 8:
            raise TypeError(f"bits must be an int in [0, 8], got {bits!r}")
        return posterize(colors, bits)


@register_lowering(v2.RandomSolarize)
class _RandomSolarize(GatedColorLowering):
    def change(self, transform: Any, colors: Colors) -> torch.Tensor:
        highest = 255 if colors.levels else 1
        if transform.threshold > highest:
            raise TypeError(f"threshold must be at most {highest} for such colours, got {transform.threshold}")
        return solarize(colors, transform.threshold)


@register_lowering(v2.RandomAutocontrast)
class _RandomAutocontrast(GatedColorLowering):
    def change(self, transform: Any, colors: Colors) -> torch.Tensor:
        return autocontrast(colors)


@register_lowering(v2.RandomEqualize)
class _RandomEqualize(GatedColorLowering):
    def change(self, transform: Any, colors: Colors) -> torch.Tensor:
        return equalize(colors)
