"""What kornia's classes do to a segment: move pixels, change colours, set the size, or nothing that could be run."""

from collections.abc import Iterator
from typing import Any

import kornia.augmentation as K
from kornia.augmentation import auto
from kornia.augmentation.auto.operations.base import OperationBase
from kornia.augmentation.auto.operations.policy import PolicySequential

__all__ = ["JITTERS", "POLICIES", "is_ours", "leaves_unit_range", "moves", "support", "takes_statistics", "why_not"]

POLICIES = (auto.AutoAugment, auto.RandAugment, auto.TrivialAugment)
# They draw one order of their four steps for the whole batch.
JITTERS = (K.ColorJiggle, K.ColorJitter)

_BASES = (
    K.AugmentationBase2D,
    K.AugmentationBase3D,
    K.GeometricAugmentationBase2D,
    K.GeometricAugmentationBase3D,
    K.IntensityAugmentationBase2D,
    K.IntensityAugmentationBase3D,
    K.MixAugmentationBaseV2,
    K.RigidAffineAugmentationBase2D,
    K.RigidAffineAugmentationBase3D,
)
_REFUSED = {
    K.AugmentationBase3D: "it acts on volumes",
    K.VideoSequential: "it acts on videos",
    K.PatchSequential: "it draws for each cell of a grid: make the cells segments, with segaug.Grid",
    K.ManyToManyAugmentationDispather: "it runs several pipelines side by side: wrap them in PerSegment one by one",
    K.ManyToOneAugmentationDispather: "it runs several pipelines side by side: wrap them in PerSegment one by one",
    K.RandomDissolving: "it runs Stable Diffusion, with one draw for the whole batch",
}
_MIXES = "it mixes images: segaug.SegmentMix does so with tokens, after collate"
_UNKNOWN = (
    "it is not known whether it moves pixels: derive it from GeometricAugmentationBase2D or IntensityAugmentationBase2D"
)
# Derived from neither of the two; and the jigsaw counts as a mix, but stays within one picture.
_ALSO_MOVE = (K.RandomElasticTransform, K.RandomFisheye, K.RandomJigsaw, K.RandomThinPlateSpline)

_NOTES: dict[type, str] = {
    K.AugmentationSequential: "data_keys must be the picture alone; random_apply is drawn for each segment",
    K.ImageSequential: "random_apply is drawn for each segment",
    K.ColorJiggle: "the order of the steps is drawn for each segment; kornia draws one for the batch",
    K.ColorJitter: "the order of the steps is drawn for each segment; kornia draws one for the batch",
    K.RandomMotionBlur: "the kernel size is drawn for each segment; kornia draws one for the batch",
    K.RandomEqualize: "counts the segment's own pixels",
    K.Normalize: "float tokens only, and last: its results leave [0, 1]",
    K.Denormalize: "float tokens only, and last: its results leave [0, 1]",
    auto.AutoAugment: "the policy is drawn for each segment; kornia draws one for the batch",
    auto.RandAugment: "the operations are drawn for each segment; kornia draws them for the batch",
    auto.TrivialAugment: "the operation is drawn for each segment; kornia draws one for the batch",
}


def is_ours(transform: Any) -> bool:
    """Whether it is an augmentation, a container of them or an operation of kornia's policies."""
    kinds = (
        K.AugmentationBase2D,
        K.AugmentationBase3D,
        K.MixAugmentationBaseV2,
        K.ImageSequential,
        K.ManyToManyAugmentationDispather,
        K.ManyToOneAugmentationDispather,
        *POLICIES,
        OperationBase,
        PolicySequential,
    )
    return isinstance(transform, kinds)


def why_not(kind: type) -> str | None:
    """Say why a class cannot be applied to segments, or None if it can."""
    if kind in _BASES:
        return "it is a base class"
    for refused, reason in _REFUSED.items():
        if issubclass(kind, refused):
            return reason
    if issubclass(kind, _ALSO_MOVE):
        return None
    if issubclass(kind, K.MixAugmentationBaseV2):
        return _MIXES
    if issubclass(kind, K.AugmentationBase2D) and not issubclass(
        kind, K.GeometricAugmentationBase2D | K.IntensityAugmentationBase2D
    ):
        return _UNKNOWN
    return None


def moves(kind: type) -> bool:
    """Whether it moves pixels, so that coverage goes along."""
    return issubclass(kind, (K.GeometricAugmentationBase2D, *_ALSO_MOVE))


def takes_statistics(kind: type) -> bool:
    """Whether the mean colour outside the segment would count in what it does with the colours inside."""
    return issubclass(kind, K.RandomEqualize)


def leaves_unit_range(kind: type) -> bool:
    """Whether its results are no colours in [0, 1] any more."""
    return issubclass(kind, K.Normalize | K.Denormalize)


def support() -> Iterator[tuple[str, str, str]]:
    """Yield every class of ``kornia.augmentation``, and the three policies: name, how it runs, and a remark."""
    public = [getattr(K, name) for name in K.__all__]
    for kind in sorted({*filter(_is_class, public), *POLICIES}, key=lambda kind: kind.__name__):
        reason = why_not(kind)
        if reason is None:
            yield kind.__name__, "batched", _NOTES.get(kind, "")
        else:
            yield kind.__name__, "refused", reason


def _is_class(value: Any) -> bool:
    return isinstance(value, type)
