"""Blur and sharpness, which mix neighbours of the same segment only."""

from typing import Any

import torch
from torchvision.transforms import v2

from segaug.functional import adjust_sharpness, gaussian_blur
from segaug.transforms._engine._lowering import Draw, Lowering, Params, register_lowering
from segaug.transforms._engine._lowerings._gate import GatedLowering
from segaug.transforms._engine._place import narrow, widen
from segaug.transforms._random import uniform

__all__: list[str] = []


@register_lowering(v2.GaussianBlur)
class _GaussianBlur(Lowering):
    def make_params(self, transform: Any, draw: Draw) -> Params:
        low, high = transform.sigma
        return {"sigma": uniform(low, high, (draw.count, 1), draw.generator).expand(-1, 2)}

    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        width, height = transform.kernel_size
        margin = height // 2, width // 2
        blurred = gaussian_blur(widen(patches, *margin), widen(alpha, *margin), (width, height), params["sigma"])
        return narrow(blurred, *margin), alpha


@register_lowering(v2.RandomAdjustSharpness)
class _RandomAdjustSharpness(GatedLowering):
    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = params["gate"].nonzero().squeeze(1)
        factor = torch.full((len(chosen),), transform.sharpness_factor, dtype=torch.float64, device=patches.device)
        sharp = adjust_sharpness(widen(patches[chosen], 1, 1), widen(alpha[chosen], 1, 1), factor)
        return patches.index_copy(0, chosen, narrow(sharp, 1, 1)), alpha
