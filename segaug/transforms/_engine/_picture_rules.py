"""Which transforms can act on segments in a picture, and which of them leave every pixel in its place."""

from typing import Any

import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from segaug.transforms._engine._adapted import Adapted
from segaug.transforms._engine._containers import Choice, Gated, Order, Sequence
from segaug.transforms._engine._interface import Interface
from segaug.transforms._engine._nodes import Batched, Looped, Node

__all__ = ["check_in_picture", "keeps_places"]

# torchvision's own that change nothing but values, whether batched or not.
_KEEPING = (
    v2.ColorJitter,
    v2.GaussianBlur,
    v2.GaussianNoise,
    v2.Grayscale,
    v2.Identity,
    v2.JPEG,
    v2.Lambda,
    v2.RandomAdjustSharpness,
    v2.RandomAutocontrast,
    v2.RandomChannelPermutation,
    v2.RandomEqualize,
    v2.RandomGrayscale,
    v2.RandomInvert,
    v2.RandomPhotometricDistort,
    v2.RandomPosterize,
    v2.RandomSolarize,
)
_CONTAINERS = (v2.Compose, v2.RandomApply, v2.RandomChoice, v2.RandomOrder, torch.nn.Sequential)


def check_in_picture(transform: Any, image: torch.Tensor) -> None:
    """Raise where a transform, or one inside a container, cannot act on segments in a picture."""
    if isinstance(transform, v2.RandomRotation | v2.RandomAffine) and getattr(transform, "center", None) is not None:
        raise ValueError(
            f"center must be None in a picture, where each segment turns about its own box, got {type(transform).__name__} "
            f"with center={transform.center}"
        )
    if _retypes(transform, image):
        raise TypeError(
            f"transform must keep dtype, range and channels of segments in a picture, got {transform!r}: put it on the "
            "whole image, before PerSegment or behind it"
        )
    for child in _children(transform):
        check_in_picture(child, image)


def _retypes(transform: Any, image: torch.Tensor) -> bool:
    if isinstance(transform, v2.ToDtype):
        kinds = transform.dtype
        dtype = kinds.get(tv_tensors.Image, kinds.get("others")) if isinstance(kinds, dict) else kinds
        return dtype not in (None, image.dtype)
    if isinstance(transform, v2.ConvertImageDtype):
        return bool(transform.dtype != image.dtype)
    if isinstance(transform, v2.Grayscale):
        return bool(transform.num_output_channels != len(image))
    if isinstance(transform, v2.RGB):
        return len(image) != 3
    return isinstance(transform, v2.Normalize)


def keeps_places(node: Node) -> bool:
    """Whether a step leaves every pixel where it is, for sure."""
    if node.is_color or not node.moves:
        return True
    if isinstance(node, Gated):
        return keeps_places(node.child)
    if isinstance(node, Choice):
        return all(map(keeps_places, node.taken))
    if isinstance(node, Sequence | Order):
        return all(map(keeps_places, node.children))
    if isinstance(node, Batched):
        return type(node.transform) in _KEEPING
    return isinstance(node, Looped) and _keeps_places(node.transform, node.interface)


def _keeps_places(transform: Any, interface: Interface) -> bool:
    if isinstance(transform, _CONTAINERS):
        return all(_keeps_places(child, interface) for child in _children(transform))
    if isinstance(transform, Adapted):
        return keeps_places(transform.node)
    if type(transform) is v2.Lambda or not isinstance(transform, v2.Transform):
        # A plain callable; one that moves pixels is declared.
        return not interface.geometry
    return type(transform) in _KEEPING


def _children(transform: Any) -> list[Any]:
    if not isinstance(transform, _CONTAINERS):
        return []
    return list(transform.children() if isinstance(transform, torch.nn.Sequential) else transform.transforms)
