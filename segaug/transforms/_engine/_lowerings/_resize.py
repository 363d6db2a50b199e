"""New sizes, the same for all segments: one call of torchvision's own kernel."""

from typing import Any

import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from segaug.transforms._engine._lowering import Lowering, Params, register_lowering
from segaug.transforms._engine._lowerings._layers import on_layers

__all__: list[str] = []


@register_lowering(v2.Resize)
class _Resize(Lowering):
    def output_shape(self, transform: Any, channels: int, height: int, width: int) -> tuple[int, int, int]:
        # Of no boxes at all: torchvision's own rule for the size, without pixels.
        boxes = torch.zeros(0, 4)
        size = F.resize_bounding_boxes(boxes, (height, width), size=transform.size, max_size=transform.max_size)[1]
        return channels, size[0], size[1]

    def outcomes(self, transform: Any, channels: int) -> list[Params] | None:
        return [{}]

    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        def resize(layers: torch.Tensor) -> torch.Tensor:
            return F.resize_image(
                layers,
                transform.size,
                interpolation=transform.interpolation,
                max_size=transform.max_size,
                antialias=transform.antialias,
            )

        return on_layers(resize, patches, alpha, interpolates=True)
