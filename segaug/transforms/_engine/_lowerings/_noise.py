"""Gaussian noise."""

from typing import Any

import torch
from torchvision.transforms import v2

from segaug.functional._colors import Colors
from segaug.functional._noise import seeded_normal
from segaug.transforms._engine._lowering import ColorLowering, Draw, Params, register_lowering
from segaug.transforms._random import integers

__all__ = ["draw_seeds"]


def draw_seeds(draw: Draw) -> torch.Tensor:
    """A seed for the noise of each segment: params stay small, and replay gives the same noise."""
    return integers(2**63 - 1, (draw.count,), draw.generator)


@register_lowering(v2.GaussianNoise)
class _GaussianNoise(ColorLowering):
    def make_params(self, transform: Any, draw: Draw) -> Params:
        return {"seed": draw_seeds(draw)}

    def recolor(self, transform: Any, colors: Colors, params: Params) -> None:
        mean, sigma = transform.mean, transform.sigma
        if sigma < 0:
            raise ValueError(f"sigma must be at least 0, got {sigma}")
        # A picture is one stretch of pixels, and its noise one stretch of numbers, of the first seed.
        channels, count, pixels = colors.values.shape
        noise = seeded_normal(params["seed"][:count], channels * pixels).to(colors.values.dtype)
        noise = noise.view(count, channels, pixels).transpose(0, 1)
        full = 1.0
        if colors.levels:
            # Whole levels, as torchvision casts the noise.
            full = 255.0
            noise = (noise * (sigma * full) + mean * full).trunc_()
        else:
            noise = noise * sigma + mean
        noisy = colors.values + noise
        if transform.clip:
            colors.values = noisy.clamp_(0.0, full)
        else:
            # Bytes overflow, as there.
            colors.values = noisy.remainder_(256.0) if colors.levels else noisy
