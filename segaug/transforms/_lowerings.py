"""Lowerings of torchvision's transforms."""

import math
from typing import Any

import torch
from torchvision.transforms import InterpolationMode, v2

from segaug.functional import horizontal_flip, resized_crop, vertical_flip
from segaug.functional._color import BRIGHTNESS, CONTRAST, HUE, SATURATION, Colors, grayscale, jitter
from segaug.transforms._lowering import ColorLowering, Draw, Lowering, Params, register_lowering
from segaug.transforms._random import bernoulli, permutations, uniform

__all__: list[str] = []


class _RandomFlip(Lowering):
    def make_params(self, transform: Any, draw: Draw) -> Params:
        return {"flip": bernoulli(transform.p, (draw.count,), draw.generator)}


@register_lowering(v2.RandomHorizontalFlip)
class _RandomHorizontalFlip(_RandomFlip):
    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        flip = params["flip"]
        return horizontal_flip(patches, flip), horizontal_flip(alpha[:, None], flip)[:, 0]


@register_lowering(v2.RandomVerticalFlip)
class _RandomVerticalFlip(_RandomFlip):
    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        flip = params["flip"]
        return vertical_flip(patches, flip), vertical_flip(alpha[:, None], flip)[:, 0]


@register_lowering(v2.RandomResizedCrop)
class _RandomResizedCrop(Lowering):
    # As in torchvision: the first of ten windows that fits, else the central one.
    _TRIES = 10

    def why_not(self, transform: Any) -> str | None:
        mode = transform.interpolation
        if mode not in (InterpolationMode.BILINEAR, "bilinear", 2):
            return f"interpolation={mode} (batched: bilinear)"
        return None if transform.antialias else "antialias=False (batched: True)"

    def output_size(self, transform: Any, height: int, width: int) -> tuple[int, int]:
        rows, columns = transform.size
        return rows, columns

    def make_params(self, transform: Any, draw: Draw) -> Params:
        shape = (draw.count, self._TRIES)
        (low, high), (narrow, wide) = transform.scale, transform.ratio
        area = uniform(low, high, shape, draw.generator).double() * (draw.height * draw.width)
        aspect = uniform(math.log(narrow), math.log(wide), shape, draw.generator).exp().double()
        width, height = (area * aspect).sqrt().round().long(), (area / aspect).sqrt().round().long()
        fits = (width > 0) & (width <= draw.width) & (height > 0) & (height <= draw.height)
        first = fits.to(torch.uint8).argmax(-1, keepdim=True)
        width, height = width.gather(-1, first).squeeze(-1), height.gather(-1, first).squeeze(-1)
        central = self._central(draw, narrow, wide)
        none = ~fits.any(-1)
        height = torch.where(none, central[0], height)
        width = torch.where(none, central[1], width)
        place = uniform(0.0, 1.0, (2, draw.count), draw.generator).double()
        top = torch.where(none, (draw.height - height) // 2, (place[0] * (draw.height - height + 1)).long())
        left = torch.where(none, (draw.width - width) // 2, (place[1] * (draw.width - width + 1)).long())
        # A float below 1 times n can round up to n.
        top, left = torch.minimum(top, draw.height - height), torch.minimum(left, draw.width - width)
        return {"top": top, "left": left, "height": height, "width": width}

    @staticmethod
    def _central(draw: Draw, narrow: float, wide: float) -> tuple[int, int]:
        aspect = draw.width / draw.height
        if aspect < narrow:
            return min(draw.height, round(draw.width / narrow)), draw.width
        if aspect > wide:
            return draw.height, min(draw.width, round(draw.height * wide))
        return draw.height, draw.width

    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        size = self.output_size(transform, *patches.shape[-2:])
        layers = torch.cat([patches, alpha[:, None]], dim=1)
        layers = resized_crop(layers, params["top"], params["left"], params["height"], params["width"], size)
        alpha = layers[:, -1]
        if alpha.is_floating_point():
            # Weights add up to 1 only nearly; full coverage stays full.
            alpha = torch.where(alpha > 1.0 - 1e-6, 1.0, alpha)
        return layers[:, :-1], alpha


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
class _RandomGrayscale(ColorLowering):
    def make_params(self, transform: Any, draw: Draw) -> Params:
        return {"gray": bernoulli(transform.p, (draw.count,), draw.generator)}

    def recolor(self, transform: Any, colors: Colors, params: Params) -> None:
        colors.on(params["gray"], lambda part, index: grayscale(part))
