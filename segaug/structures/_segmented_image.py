"""SegmentedImage: an image and its segments, kept together."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self, cast

import PIL.Image
import torch
import torchvision.transforms.v2.functional as F
from torch.utils import _pytree as pytree
from torchvision import tv_tensors

from segaug._checks import SUPPORTED_CHANNELS, describe
from segaug.structures._segment_map import SegmentMap

__all__ = ["SegmentedImage"]


@dataclass(frozen=True, eq=False)
class SegmentedImage:
    """An image and the map of its segments.

    Registered with pytree, so every torchvision v2 transform reaches both: ``v2.RandomResizedCrop`` crops the image and
    the map alike, ``v2.ColorJitter`` changes the image alone.

    Args:
        image: A ``tv_tensors.Image``, tensor or PIL image: (C, H, W), uint8 or float in [0, 1], 1 or 3 channels.
        segments: The :class:`SegmentMap`, or a tensor of integer labels, (H, W).

    Raises:
        TypeError: If the image is neither uint8 nor float, or the labels are not integers.
        ValueError: If the shapes are others, or differ in height or width.

    Example:
        >>> sample = SegmentedImage(torch.zeros(3, 2, 4), SegmentMap([[1, 1, 0, 0], [1, 1, 2, 2]]))
        >>> from torchvision.transforms import v2
        >>> v2.RandomHorizontalFlip(p=1.0)(sample).segments.tolist()
        [[0, 0, 1, 1], [2, 2, 1, 1]]
    """

    image: tv_tensors.Image
    segments: SegmentMap

    def __post_init__(self) -> None:
        image = as_image("image", self.image)
        segments = self.segments if isinstance(self.segments, SegmentMap) else SegmentMap(self.segments)
        if segments.ndim != 2:
            raise ValueError(f"segments must have shape (H, W), got {describe(segments)}")
        if image.shape[-2:] != segments.shape:
            raise ValueError(
                f"image and segments must have the same height and width, got {tuple(image.shape[-2:])} "
                f"and {tuple(segments.shape)}"
            )
        object.__setattr__(self, "image", image)
        object.__setattr__(self, "segments", segments)

    def to(self, device: torch.device | str | int, *, non_blocking: bool = False) -> Self:
        """Move both to a device."""
        return cast(Self, pytree.tree_map(lambda leaf: _move(leaf, device, non_blocking), self))


def as_image(name: str, image: Any) -> tv_tensors.Image:
    """Return ``image`` as a ``tv_tensors.Image`` of shape (C, H, W), or say what is wrong with it."""
    if isinstance(image, PIL.Image.Image):
        if image.mode not in ("L", "RGB"):
            raise ValueError(f'{name} must be a PIL image of mode L or RGB, got mode {image.mode}: use convert("RGB")')
        image = F.pil_to_tensor(image)
    if not isinstance(image, torch.Tensor):
        raise TypeError(f"{name} must be a tensor or a PIL image, got {describe(image)}")
    if image.dtype != torch.uint8 and not image.is_floating_point():
        raise TypeError(f"{name} must be uint8 or float in [0, 1], got {describe(image)}")
    if image.ndim != 3 or image.shape[0] not in SUPPORTED_CHANNELS:
        raise ValueError(f"{name} must have shape (C, H, W) with 1 or 3 channels, got {describe(image)}")
    return image if isinstance(image, tv_tensors.Image) else image.as_subclass(tv_tensors.Image)


def _move(leaf: Any, device: torch.device | str | int, non_blocking: bool) -> Any:
    return leaf.to(device=device, non_blocking=non_blocking) if isinstance(leaf, torch.Tensor) else leaf


_KINDS: dict[str, type[torch.Tensor]] = {"image": tv_tensors.Image, "segments": SegmentMap}


def _flatten(sample: SegmentedImage) -> tuple[list[Any], None]:
    return [sample.image, sample.segments], None


def _unflatten(leaves: Iterable[Any], context: None) -> SegmentedImage:
    # No checks: pytree also rebuilds with leaves that are no tensors.
    sample = object.__new__(SegmentedImage)
    for (name, kind), leaf in zip(_KINDS.items(), leaves, strict=True):
        # torch's operations, and v2.ToPureTensor, return plain tensors; v2 tells image and map apart by their type.
        wrapped = leaf.as_subclass(kind) if type(leaf) is torch.Tensor else leaf
        object.__setattr__(sample, name, wrapped)
    return sample


pytree.register_pytree_node(
    SegmentedImage, _flatten, _unflatten, serialized_type_name="segaug.structures.SegmentedImage"
)
