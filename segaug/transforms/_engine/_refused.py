"""Transforms of torchvision that cannot be applied to one segment, and why."""

from typing import Any

import torch
from torchvision.transforms import v2

from segaug.transforms._base import SegmentTransform
from segaug.transforms._engine._adapted import Adapted
from segaug.transforms._engine._lowerings._warps import WARP_MODES

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


# Their results leave [0, 1], in any of these packages.
_UNBOUNDED = ("Denormalize", "LinearTransformation", "Normalize")
# What may come behind those, as it computes nothing.
_COPYING = (
    v2.CenterCrop,
    v2.ConvertImageDtype,
    v2.Identity,
    v2.RandomCrop,
    v2.RandomErasing,
    v2.RandomHorizontalFlip,
    v2.RandomVerticalFlip,
    v2.ToDtype,
    v2.ToImage,
    v2.ToPureTensor,
)
_WARPS = (
    v2.AugMix,
    v2.AutoAugment,
    v2.RandAugment,
    v2.RandomAffine,
    v2.RandomPerspective,
    v2.RandomRotation,
    v2.TrivialAugmentWide,
)


def check_allowed(transform: Any) -> None:
    """Say why a transform, or one inside a container, cannot be applied to one segment.

    Raises:
        TypeError: If it is refused.
        ValueError: If its options are, or its place.
    """
    _check(transform)


def _check(transform: Any, *, is_bounded: bool = True) -> bool:
    """Check one, and tell whether values are in [0, 1] behind it; ``is_bounded`` tells whether they are before it."""
    if isinstance(transform, Adapted):
        transform = transform.transform
    name = type(transform).__name__
    reason = REFUSED.get(type(transform))
    if reason is not None:
        raise TypeError(f"transform must give one picture per segment, got {name}: {reason}")
    if isinstance(transform, SegmentTransform):
        raise TypeError(f"transform must act on an image, got {name}, which acts on segments")
    if isinstance(transform, _WARPS) and transform.interpolation not in WARP_MODES:
        raise ValueError(
            f"interpolation of {name} must be nearest or bilinear, as torchvision has no other for tensors, got "
            f"{transform.interpolation}"
        )
    children = _children(transform)
    if not children and not is_bounded and not isinstance(transform, _COPYING) and name not in _UNBOUNDED:
        raise ValueError(f"{name} must come before Normalize and its like, as it takes values in [0, 1]")
    if isinstance(transform, v2.RandomChoice):
        bounded = [_check(child, is_bounded=is_bounded) for child in children]
        return all(bounded)
    # In a random order each may come behind each.
    for _ in range(2 if isinstance(transform, v2.RandomOrder) else 1):
        for child in children:
            is_bounded = _check(child, is_bounded=is_bounded)
    return is_bounded and not (name in _UNBOUNDED and not children)


def _children(transform: Any) -> list[Any]:
    if isinstance(transform, torch.nn.Sequential):
        return list(transform)
    is_container = isinstance(transform, v2.Compose | v2.RandomApply | v2.RandomChoice | v2.RandomOrder)
    return list(transform.transforms) if is_container else []
