"""Crops and padding."""

import math
from typing import Any

import torch
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

from segaug.functional import crop, resized_crop
from segaug.transforms._engine._lowering import Draw, Lowering, Params, register_lowering
from segaug.transforms._engine._lowerings._layers import on_layers
from segaug.transforms._random import integers, uniform

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
        def resize(layers: torch.Tensor) -> torch.Tensor:
            top, left, height, width = (params[name] for name in ("top", "left", "height", "width"))
            return resized_crop(layers, top, left, height, width, tuple(transform.size))

        return on_layers(resize, patches, alpha, interpolates=True)


@register_lowering(v2.RandomCrop)
class _RandomCrop(Lowering):
    def output_shape(self, transform: Any, channels: int, height: int, width: int) -> tuple[int, int, int]:
        rows, columns = transform.size
        return channels, rows, columns

    def make_params(self, transform: Any, draw: Draw) -> Params:
        rows, columns = transform.size
        left, right, top, bottom = transform.padding or (0, 0, 0, 0)
        height, width = draw.height + top + bottom, draw.width + left + right
        if transform.pad_if_needed:
            # What is missing is put on both sides, as in torchvision.
            below, beside = max(rows - height, 0), max(columns - width, 0)
            left, right, top, bottom = left + beside, right + beside, top + below, bottom + below
            height, width = height + 2 * below, width + 2 * beside
        if height < rows or width < columns:
            padded = "padded " if transform.padding else ""
            raise ValueError(
                f"size of RandomCrop must be at most that of the {padded}patch, {(height, width)}, got {(rows, columns)}"
            )
        return {
            "needs_crop": height > rows or width > columns,
            "top": integers(height - rows + 1, (draw.count,), draw.generator),
            "left": integers(width - columns + 1, (draw.count,), draw.generator),
            "height": rows,
            "width": columns,
            "needs_pad": any((left, right, top, bottom)),
            "padding": [left, top, right, bottom],
        }

    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        def pad_and_crop(layers: torch.Tensor) -> torch.Tensor:
            if params["needs_pad"]:
                layers = F.pad_image(layers, params["padding"], padding_mode=transform.padding_mode)
            if params["needs_crop"]:
                layers = crop(layers, params["top"], params["left"], (params["height"], params["width"]))
            return layers

        return on_layers(pad_and_crop, patches, alpha, interpolates=False)


@register_lowering(v2.CenterCrop)
class _CenterCrop(Lowering):
    def output_shape(self, transform: Any, channels: int, height: int, width: int) -> tuple[int, int, int]:
        rows, columns = transform.size
        return channels, rows, columns

    def outcomes(self, transform: Any, channels: int) -> list[Params] | None:
        return [{}]

    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        def center_crop(layers: torch.Tensor) -> torch.Tensor:
            return F.center_crop_image(layers, transform.size)

        return on_layers(center_crop, patches, alpha, interpolates=False)


@register_lowering(v2.Pad)
class _Pad(Lowering):
    def output_shape(self, transform: Any, channels: int, height: int, width: int) -> tuple[int, int, int]:
        padding = [transform.padding] if isinstance(transform.padding, int) else list(transform.padding)
        # One for all sides, two for both axes, or four.
        left, top, right, bottom = padding * (4 // len(padding))
        return channels, height + top + bottom, width + left + right

    def outcomes(self, transform: Any, channels: int) -> list[Params] | None:
        return [{}]

    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        def pad(layers: torch.Tensor) -> torch.Tensor:
            # What is filled in belongs to no segment, whatever colour the transform has for it.
            return F.pad_image(layers, transform.padding, padding_mode=transform.padding_mode)

        return on_layers(pad, patches, alpha, interpolates=False)
