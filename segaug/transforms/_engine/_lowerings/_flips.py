"""Flips."""

from typing import Any

import torch
from torchvision.transforms import v2

from segaug.functional import horizontal_flip, vertical_flip
from segaug.transforms._engine._lowering import Params, register_lowering
from segaug.transforms._engine._lowerings._gate import GatedLowering

__all__: list[str] = []


@register_lowering(v2.RandomHorizontalFlip)
class _RandomHorizontalFlip(GatedLowering):
    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        gate = params["gate"]
        return horizontal_flip(patches, gate), horizontal_flip(alpha[:, None], gate)[:, 0]


@register_lowering(v2.RandomVerticalFlip)
class _RandomVerticalFlip(GatedLowering):
    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        gate = params["gate"]
        return vertical_flip(patches, gate), vertical_flip(alpha[:, None], gate)[:, 0]
