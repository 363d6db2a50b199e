"""Colour transforms."""

from typing import Any

import torch
from torchvision.transforms import v2

from segaug.functional._color import BRIGHTNESS, CONTRAST, HUE, SATURATION, Colors, grayscale, jitter
from segaug.transforms._lowering import ColorLowering, Draw, Params, register_lowering
from segaug.transforms._lowerings._gate import GatedColorLowering
from segaug.transforms._random import permutations, uniform

__all__: list[str] = []


@register_lowering(v2.ColorJitter)
class _ColorJitter(ColorLowering):
    _NAMES = (
        (BRIGHTNESS, "brightness", "brightness_factor"),
        (CONTRAST, "contrast", "contrast_factor"),
        (SATURATION, "saturation", "saturation_factor"),
        (HUE, "hue", "hue_factor"),
    )

    def make_params(self, transform: Any, draw: Draw) -> Params:
        params: Params = {"fn_idx": permutations(4, draw.count, draw.generator)}
        for _, option, name in self._NAMES:
            bounds = getattr(transform, option)
            params[name] = None if bounds is None else uniform(bounds[0], bounds[1], (draw.count,), draw.generator)
        return params

    def recolor(self, transform: Any, colors: Colors, params: Params) -> None:
        factors = {key: params[name] for key, _, name in self._NAMES if params[name] is not None}
        jitter(colors, params["fn_idx"], {key: factor.to(colors.values.dtype) for key, factor in factors.items()})


@register_lowering(v2.RandomGrayscale)
class _RandomGrayscale(GatedColorLowering):
    def change(self, transform: Any, colors: Colors) -> torch.Tensor:
        return grayscale(colors)
