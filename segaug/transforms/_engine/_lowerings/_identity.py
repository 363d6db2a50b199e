"""Transforms that change nothing about a segment."""

from typing import Any

from torchvision.transforms import v2

from segaug.functional._colors import Colors
from segaug.transforms._engine._lowering import ColorLowering, Params, register_lowering

__all__: list[str] = []


@register_lowering(v2.Identity)
@register_lowering(v2.ToImage)
@register_lowering(v2.ToPureTensor)
class _Identity(ColorLowering):
    def outcomes(self, transform: Any, channels: int) -> list[Params] | None:
        return [{}]

    def apply(self, transform: Any, patches: Any, alpha: Any, params: Params) -> Any:
        return patches, alpha

    def recolor(self, transform: Any, colors: Colors, params: Params) -> None:
        pass
