"""Which of albumentations' transforms can be applied to a segment."""

from collections.abc import Iterator
from typing import Any

import albumentations as A
from albumentations.augmentations.dropout.transforms import BaseDropout
from albumentations.core.composition import BaseCompose

__all__ = ["all_steps", "check", "fills_the_frame", "is_ours", "may_move", "support", "why_not"]

_BASES = (A.BasicTransform, A.DualTransform, A.ImageOnlyTransform, A.Transform3D, A.BaseCompose)
_PICTURES = "it needs other pictures beside the one that it changes"
_BOXES = "it needs bounding boxes, and a segment has none of its own"
_OBJECTS = "it needs a mask of objects, and a segment is one: segaug.SegmentDrop drops segments"
_TYPE = "it changes the type of the picture, and segments are tensors already: leave it out"
_REFUSED: dict[type, str] = {
    A.Transform3D: "it acts on volumes",
    A.FDA: _PICTURES,
    A.HistogramMatching: _PICTURES,
    A.Mosaic: _PICTURES,
    A.OverlayElements: _PICTURES,
    A.PixelDistributionAdaptation: _PICTURES,
    A.AtLeastOneBBoxRandomCrop: _BOXES,
    A.BBoxSafeRandomCrop: _BOXES,
    A.RandomCropNearBBox: _BOXES,
    A.RandomSizedBBoxSafeCrop: _BOXES,
    A.ConstrainedCoarseDropout: _OBJECTS,
    A.MaskDropout: _OBJECTS,
    A.TextImage: "it needs boxes of text beside the picture",
    A.ToTensor3D: _TYPE,
    A.ToTensorV2: _TYPE,
    A.ReplayCompose: "parameters of PerSegment can be applied again anyway: use Compose",
}
_NOTES: dict[type, str] = {
    A.Compose: "seed is not used; no bbox_params or keypoint_params",
    A.FromFloat: "uint8 alone, of float tokens",
    A.Normalize: "last: its results leave [0, 1]",
    A.RandomCropFromBorders: "in a Compose that sets one size afterwards",
    A.RandomGravel: "puts no gravel on patches of less than about 50 x 50 pixels",
    A.RandomScale: "in a Compose that sets one size afterwards",
    A.SelectiveChannelTransform: "of image-only transforms",
}


def is_ours(transform: Any) -> bool:
    """Whether it is a transform of albumentations, or a container of them."""
    return isinstance(transform, A.BasicTransform | BaseCompose)


def why_not(kind: type) -> str | None:
    """Say why a class cannot be applied to segments, or None if it can."""
    if kind in _BASES:
        return "it is a base class"
    return next((reason for refused, reason in _REFUSED.items() if issubclass(kind, refused)), None)


def all_steps(transform: Any) -> Iterator[Any]:
    """Yield a transform and all those inside it, the outer ones first."""
    yield transform
    if isinstance(transform, BaseCompose):
        for child in transform.transforms:
            yield from all_steps(child)


def check(transform: Any) -> None:
    """Raise a TypeError or ValueError if a transform, or one inside it, cannot be applied to segments."""
    for step in all_steps(transform):
        name = type(step).__name__
        reason = why_not(type(step))
        needs = sorted({*getattr(step, "targets_as_params", ())} - {"image", "mask"})
        if reason is None and needs:
            reason = f"it needs {', '.join(needs)} beside the picture"
        if reason is not None:
            raise TypeError(f"transform must need one picture and no more, got {name}: {reason}")
        if isinstance(step, A.Compose) and step.processors:
            raise ValueError(
                f"{name} must have no bbox_params or keypoint_params, got {', '.join(sorted(step.processors))}: "
                "a segment has none of its own"
            )
        moving = [type(inner).__name__ for inner in all_steps(step) if isinstance(inner, A.DualTransform)]
        if isinstance(step, A.SelectiveChannelTransform) and moving:
            raise ValueError(f"{name} must hold image-only transforms, got {moving[0]}: coverage would stay behind")


def may_move(step: Any) -> bool:
    """Whether it may move pixels, or coverage; a container does what those inside it do."""
    return not isinstance(step, A.ImageOnlyTransform | BaseCompose)


def fills_the_frame(step: Any) -> bool:
    """Whether it moves pixels and fills in what no pixel comes to."""
    return (
        isinstance(step, A.DualTransform)
        and not isinstance(step, BaseDropout)
        and hasattr(step, "fill")
        and hasattr(step, "fill_mask")
    )


def support() -> Iterator[tuple[str, str, str]]:
    """Yield every transform and container: name, how it runs, and a remark."""
    for name in sorted(vars(A)):
        kind = getattr(A, name)
        if isinstance(kind, type) and issubclass(kind, A.BasicTransform | BaseCompose):
            reason = why_not(kind)
            if reason is None:
                yield name, "looped", _NOTES.get(kind, "")
            else:
                yield name, "refused", reason
