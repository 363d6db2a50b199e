"""Transforms of torchvision that cannot be applied to one segment, and why."""

from typing import Any

import torch
from torchvision.transforms import v2

from segaug.transforms._base import SegmentTransform
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


# Their results leave [0, 1].
_LAST = (v2.LinearTransformation, v2.Normalize)
_WARPS = (
    v2.AugMix,
    v2.AutoAugment,
    v2.ElasticTransform,
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
    _check(transform, is_last=True)


def _check(transform: Any, is_last: bool) -> None:
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
    if isinstance(transform, _LAST) and not is_last:
        raise ValueError(f"{name} must come last, as others take values in [0, 1]: put what follows before it")
    children = _children(transform)
    for i, child in enumerate(children):
        ends = i + 1 == len(children) or isinstance(transform, v2.RandomChoice)
        _check(child, is_last=is_last and ends and not (isinstance(transform, v2.RandomOrder) and len(children) > 1))


def _children(transform: Any) -> list[Any]:
    if isinstance(transform, torch.nn.Sequential):
        return list(transform)
    is_container = isinstance(transform, v2.Compose | v2.RandomApply | v2.RandomChoice | v2.RandomOrder)
    return list(transform.transforms) if is_container else []
