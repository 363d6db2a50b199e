"""Blur and sharpness, which mix neighbours of the same segment only."""

from typing import Any

import torch
from torch.nn.functional import pad
from torchvision.transforms import v2

from segaug.functional import adjust_sharpness, gaussian_blur
from segaug.transforms._engine._lowering import Draw, Lowering, Params, register_lowering
from segaug.transforms._engine._lowerings._gate import GatedLowering
from segaug.transforms._random import uniform

__all__: list[str] = []

# In a picture the rim of a segment's box is an edge like any other: with so many pixels without coverage around it, the
# result does not depend on the box. A rim of a token is the rim of an image.
_MARGIN = "margin"


def _margin(draw: Draw, width: int, height: int) -> Params:
    return {_MARGIN: (width, height)} if draw.in_picture else {}


def _widen(layer: torch.Tensor, params: Params) -> torch.Tensor:
    width, height = params.get(_MARGIN, (0, 0))
    return pad(layer, [width, width, height, height]) if width or height else layer


def _narrow(layer: torch.Tensor, params: Params) -> torch.Tensor:
    width, height = params.get(_MARGIN, (0, 0))
    return layer[..., height : layer.shape[-2] - height, width : layer.shape[-1] - width]


@register_lowering(v2.GaussianBlur)
class _GaussianBlur(Lowering):
    def make_params(self, transform: Any, draw: Draw) -> Params:
        low, high = transform.sigma
        sigma = uniform(low, high, (draw.count, 1), draw.generator).expand(-1, 2)
        width, height = transform.kernel_size
        return {"sigma": sigma, **_margin(draw, width // 2, height // 2)}

    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        wide = _widen(patches, params), _widen(alpha, params)
        return _narrow(gaussian_blur(*wide, tuple(transform.kernel_size), params["sigma"]), params), alpha


@register_lowering(v2.RandomAdjustSharpness)
class _RandomAdjustSharpness(GatedLowering):
    def make_params(self, transform: Any, draw: Draw) -> Params:
        return {**super().make_params(transform, draw), **_margin(draw, 1, 1)}

    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = params["gate"].nonzero().squeeze(1)
        factor = torch.full((len(chosen),), transform.sharpness_factor, dtype=torch.float64, device=patches.device)
        wide = _widen(patches[chosen], params), _widen(alpha[chosen], params)
        return patches.index_copy(0, chosen, _narrow(adjust_sharpness(*wide, factor), params)), alpha
