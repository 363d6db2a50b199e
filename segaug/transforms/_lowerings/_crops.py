"""Crops and new sizes."""

import math
from typing import Any

import torch
from torchvision.transforms import InterpolationMode, v2

from segaug.functional import resized_crop
from segaug.transforms._lowering import Draw, Lowering, Params, register_lowering
from segaug.transforms._random import uniform

__all__: list[str] = []


@register_lowering(v2.RandomResizedCrop)
class _RandomResizedCrop(Lowering):
    # As in torchvision: the first of ten windows that fits, else the central one.
    _TRIES = 10

    def why_not(self, transform: Any) -> str | None:
        mode = transform.interpolation
        if mode not in (InterpolationMode.BILINEAR, "bilinear", 2):
            return f"interpolation={mode} (batched: bilinear)"
        return None if transform.antialias else "antialias=False (batched: True)"

    def output_shape(self, transform: Any, channels: int, height: int, width: int) -> tuple[int, int, int]:
        rows, columns = transform.size
        return channels, rows, columns

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
        rows, columns = transform.size
        layers = torch.cat([patches, alpha[:, None]], dim=1)
        layers = resized_crop(layers, params["top"], params["left"], params["height"], params["width"], (rows, columns))
        alpha = layers[:, -1]
        if alpha.is_floating_point():
            # Weights add up to 1 only nearly; full coverage stays full.
            alpha = torch.where(alpha > 1.0 - 1e-6, 1.0, alpha)
        return layers[:, :-1], alpha
