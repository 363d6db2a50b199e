"""Another dtype or range for all segments alike."""

from typing import Any

import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from segaug.functional._dtype import to_dtype
from segaug.transforms._engine._lowering import Lowering, Params, register_lowering

__all__: list[str] = []


class _Fixed(Lowering):
    """A transform that draws nothing."""

    def outcomes(self, transform: Any, channels: int) -> list[Params] | None:
        return [{}]


@register_lowering(v2.ToDtype)
class _ToDtype(_Fixed):
    def output_dtype(self, transform: Any, dtype: torch.dtype) -> torch.dtype:
        new = transform.dtype
        if isinstance(new, dict):
            new = new.get(tv_tensors.Image, new.get("others"))
        return dtype if new is None else new

    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        dtype = transform.dtype
        if isinstance(dtype, dict):
            # Patches are images; their coverage goes along, in the same dtype.
            kinds = [kind for kind in (tv_tensors.Image, "others") if kind in dtype]
            if not kinds:
                raise ValueError(f"dtype must hold one for tv_tensors.Image or 'others', got {dtype}")
            dtype = dtype[kinds[0]]
        if dtype is None:
            return patches, alpha
        return to_dtype(patches, dtype, transform.scale), to_dtype(alpha, dtype, transform.scale)


@register_lowering(v2.ConvertImageDtype)
class _ConvertImageDtype(_Fixed):
    def output_dtype(self, transform: Any, dtype: torch.dtype) -> torch.dtype:
        return transform.dtype

    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return to_dtype(patches, transform.dtype, True), to_dtype(alpha, transform.dtype, True)


@register_lowering(v2.Normalize)
class _Normalize(_Fixed):
    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not patches.is_floating_point():
            raise TypeError(f"Normalize takes float segments, got {patches.dtype}; put v2.ToDtype before it")
        mean, std = (patches.new_tensor(numbers).view(-1, 1, 1) for numbers in (transform.mean, transform.std))
        if not bool((std != 0).all()):
            raise ValueError(f"std must not be 0, got {transform.std}")
        # Premultiplied as it is: coverage times (colour - mean) / std, which is 0 outside.
        return (patches - mean * alpha[:, None]).div_(std), alpha
