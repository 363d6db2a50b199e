"""Transforms of torchvision that cannot be applied to one segment, and why."""

from typing import Any

import torch
from torchvision.transforms import v2

__all__ = ["REFUSED", "check_allowed"]

_SEVERAL = "it returns several pictures per segment"
_IMAGES = "it mixes images: segaug.SegmentMix does so with tokens, after collate"
_BOXES = "it acts on bounding boxes or key points, and a segment has none of its own: put it beside PerSegment"
_TYPE = "it changes the type of the picture, and segments are tensors already: leave it out"

REFUSED: dict[type, str] = {
    v2.FiveCrop: _SEVERAL,
    v2.TenCrop: _SEVERAL,
    v2.CutMix: _IMAGES,
    v2.MixUp: _IMAGES,
    v2.ClampBoundingBoxes: _BOXES,
    v2.ClampKeyPoints: _BOXES,
    v2.ConvertBoundingBoxFormat: _BOXES,
    v2.RandomIoUCrop: _BOXES,
    v2.SanitizeBoundingBoxes: _BOXES,
    v2.SanitizeKeyPoints: _BOXES,
    v2.SetClampingMode: _BOXES,
    v2.PILToTensor: _TYPE,
    v2.ToPILImage: _TYPE,
    v2.ToTensor: _TYPE,
    v2.UniformTemporalSubsample: "it acts on videos",
}


def check_allowed(transform: Any) -> None:
    """Raise a TypeError if a transform, or one inside a container, is refused."""
    reason = REFUSED.get(type(transform))
    if reason is not None:
        raise TypeError(f"transform must give one picture per segment, got {type(transform).__name__}: {reason}")
    children = transform if isinstance(transform, torch.nn.Sequential) else getattr(transform, "transforms", ())
    if isinstance(transform, v2.Compose | v2.RandomApply | v2.RandomChoice | v2.RandomOrder | torch.nn.Sequential):
        for child in children:
            check_allowed(child)
