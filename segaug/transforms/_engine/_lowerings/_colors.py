"""Colour transforms."""

from itertools import permutations as all_permutations
from typing import Any

import torch
from torchvision.transforms import v2

from segaug.functional._color import (
    BRIGHTNESS,
    CONTRAST,
    HUE,
    SATURATION,
    brighten,
    change_contrast,
    grayscale,
    jitter,
    luma,
    permute_channels,
    saturate,
    shift_hue,
)
from segaug.functional._colors import Change, Colors
from segaug.transforms._engine._lowering import ColorLowering, Draw, Params, register_lowering
from segaug.transforms._engine._lowerings._gate import GatedColorLowering
from segaug.transforms._random import bernoulli, permutations, uniform

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


@register_lowering(v2.Grayscale)
class _Grayscale(ColorLowering):
    def outcomes(self, transform: Any, channels: int) -> list[Params] | None:
        return [{}]

    def output_shape(self, transform: Any, channels: int, height: int, width: int) -> tuple[int, int, int]:
        return transform.num_output_channels, height, width

    def recolor(self, transform: Any, colors: Colors, params: Params) -> None:
        channels = transform.num_output_channels
        if channels not in (1, 3):
            raise ValueError(f"num_output_channels must be 1 or 3, got {channels}")
        colors.values = luma(colors).expand(channels, *colors.values.shape[1:])


@register_lowering(v2.RGB)
class _RGB(ColorLowering):
    def outcomes(self, transform: Any, channels: int) -> list[Params] | None:
        return [{}]

    def output_shape(self, transform: Any, channels: int, height: int, width: int) -> tuple[int, int, int]:
        return 3, height, width

    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return patches.repeat(1, 3 // patches.shape[1], 1, 1), alpha

    def recolor(self, transform: Any, colors: Colors, params: Params) -> None:
        colors.values = colors.values.expand(3, *colors.values.shape[1:])


@register_lowering(v2.RandomChannelPermutation)
class _RandomChannelPermutation(ColorLowering):
    def outcomes(self, transform: Any, channels: int) -> list[Params] | None:
        return [{"permutation": torch.tensor([order])} for order in all_permutations(range(channels))]

    def make_params(self, transform: Any, draw: Draw) -> Params:
        return {"permutation": permutations(draw.channels, draw.count, draw.generator)}

    def recolor(self, transform: Any, colors: Colors, params: Params) -> None:
        colors.values = permute_channels(colors, params["permutation"])


@register_lowering(v2.RandomPhotometricDistort)
class _RandomPhotometricDistort(ColorLowering):
    """A factor of NaN is one that is left out, and so is the permutation that changes nothing."""

    _RANGES = ("brightness", "contrast", "saturation", "hue")

    def make_params(self, transform: Any, draw: Draw) -> Params:
        shape = (draw.count,)
        params: Params = {}
        for name in self._RANGES:
            low, high = getattr(transform, name)
            factor = uniform(low, high, shape, draw.generator)
            left_out = ~bernoulli(transform.p, shape, draw.generator)
            params[f"{name}_factor"] = factor.masked_fill_(left_out, torch.nan)
        params["contrast_before"] = bernoulli(0.5, shape, draw.generator)
        order = permutations(draw.channels, draw.count, draw.generator)
        permuted = bernoulli(transform.p, (draw.count, 1), draw.generator)
        params["channel_permutation"] = torch.where(permuted, order, torch.arange(draw.channels, device=order.device))
        return params

    def recolor(self, transform: Any, colors: Colors, params: Params) -> None:
        brightness, contrast, saturation, hue = (params[f"{name}_factor"] for name in self._RANGES)
        before = params["contrast_before"]

        def change(operation: Any, factor: torch.Tensor) -> Change:
            return lambda part, rows: operation(part, factor[rows])

        for operation, factor, chosen in (
            (brighten, brightness, True),
            (change_contrast, contrast, before),
            (saturate, saturation, True),
            (shift_hue, hue, True),
            (change_contrast, contrast, ~before),
        ):
            colors.on(chosen & ~factor.isnan(), change(operation, factor))
        colors.values = permute_channels(colors, params["channel_permutation"])
