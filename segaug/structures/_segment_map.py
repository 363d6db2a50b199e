"""SegmentMap: which segment a pixel belongs to."""

from typing import Any, Self

import numpy as np
import PIL.Image
import torch
import torchvision.transforms.v2.functional as F
from torchvision import tv_tensors

from segaug._checks import check_choice, describe
from segaug.structures._coco import annotations_to_masks, panoptic_to_labels

__all__ = ["SegmentMap"]

# Integers up to here are exact in float32, which torchvision's mask kernels compute in.
_LARGEST_EXACT_LABEL = 2**24


class SegmentMap(tv_tensors.Mask):
    """Integer labels, one per pixel: 0 is "in no segment", every other value is a segment.

    A ``tv_tensors.Mask``, so torchvision's geometric transforms move it with the image, by the nearest pixel. What they
    uncover is in no segment, whatever ``fill`` they were given.

    Args:
        data: Labels of shape (..., H, W), any integer dtype, at least 0. Labels may have gaps and go up to 2^63 - 1.
            Anything that ``torch.as_tensor`` takes, or a PIL image of integer labels. Held as int64.
        device: Where to put it.

    Raises:
        TypeError: If the labels are bool or float.
        ValueError: If there are fewer than two dimensions, a label is negative, or a PIL image has several channels.

    Example:
        >>> SegmentMap([[0, 1, 1], [2, 2, 1]]).shape
        torch.Size([2, 3])
    """

    def __new__(cls, data: Any, *, device: torch.device | str | int | None = None) -> Self:
        """Check the labels and wrap them."""
        if isinstance(data, PIL.Image.Image):
            if len(data.getbands()) != 1:
                raise ValueError(
                    f"data must be a PIL image with one channel, got mode {data.mode}; "
                    "for COCO panoptic pictures: SegmentMap.from_coco_panoptic"
                )
            data = np.array(data)
        if isinstance(data, np.ndarray):
            if data.dtype.kind not in "iu":
                raise TypeError(f"data must hold integer labels, got {describe(data)}{_hint(data.dtype.kind == 'b')}")
            if data.dtype == np.uint64 and data.size and int(data.max()) >= 2**63:
                raise ValueError(f"labels must be at most 2^63 - 1, got {int(data.max())}")
            # A copy: torch cannot hold read-only or negatively strided arrays.
            data = torch.from_numpy(data.astype(np.int64))
        try:
            labels = torch.as_tensor(data, device=device)
        except (TypeError, ValueError, RuntimeError) as error:
            if isinstance(data, torch.Tensor):
                raise
            raise TypeError(f"data must hold integer labels of shape (..., H, W), got {describe(data)}") from error
        if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
            raise TypeError(f"data must hold integer labels, got {describe(labels)}{_hint(labels.dtype == torch.bool)}")
        if labels.ndim < 2:
            raise ValueError(f"data must have shape (..., H, W), got {describe(labels)}")
        labels = labels.to(torch.int64)
        if labels.numel() and (lowest := int(labels.min())) < 0:
            raise ValueError(f"labels must be at least 0 (0 is in no segment), got {lowest}")
        return labels.as_subclass(cls)

    @classmethod
    def from_masks(cls, masks: Any, overlap: str = "smallest") -> Self:
        """Make a map from one mask per segment.

        Args:
            masks: (N, H, W), bool or integers 0 and 1. Mask i becomes label i + 1; a mask without a visible pixel leaves
                a gap.
            overlap: Which mask a pixel goes to when several hold it: the one of the ``"smallest"`` or ``"largest"``
                area, or the ``"first"``. Equal areas: the first.

        Returns:
            The map, of shape (H, W).

        Raises:
            TypeError: If the masks are not bool (or 0 and 1).
            ValueError: If they do not have three dimensions, or ``overlap`` is unknown.

        Example:
            >>> masks = torch.tensor([[[1, 1, 1]], [[0, 1, 0]]]).bool()
            >>> SegmentMap.from_masks(masks).tolist()
            [[1, 2, 1]]
            >>> SegmentMap.from_masks(masks, overlap="largest").tolist()
            [[1, 1, 1]]
        """
        check_choice("overlap", overlap, ("smallest", "largest", "first"))
        stack = check_masks("masks", masks)
        count = stack.shape[0]
        if count == 0:
            return cls(torch.zeros(stack.shape[-2:], dtype=torch.int64, device=stack.device))
        areas = stack.sum((-2, -1))
        if overlap == "first":
            order = torch.arange(count, device=stack.device)
        else:
            order = torch.argsort(areas, stable=True, descending=overlap == "largest")
        # The first in `order` wins, so it gets the highest rank; rank 0 is "no mask here".
        rank = torch.empty(count, dtype=torch.int32, device=stack.device)
        rank[order] = torch.arange(count, 0, -1, dtype=torch.int32, device=stack.device)
        winner = (stack * rank[:, None, None]).amax(0).long()
        label_of_rank = torch.zeros(count + 1, dtype=torch.int64, device=stack.device)
        label_of_rank[rank.long()] = torch.arange(1, count + 1, device=stack.device)
        return cls(label_of_rank[winner])

    @classmethod
    def from_coco_panoptic(cls, png: Any) -> Self:
        """Read a COCO panoptic picture, whose colours are segment ids: R + 256 G + 65536 B, 0 for unlabelled.

        Args:
            png: A path, an RGB PIL image, a uint8 array (H, W, 3) or a uint8 tensor (3, H, W).

        Returns:
            The map, of shape (H, W), with the ids as labels, as in the json beside the pictures.

        Raises:
            TypeError: If ``png`` is none of these.
            ValueError: If it has another shape or mode.

        Example:
            >>> SegmentMap.from_coco_panoptic(torch.tensor([[[5]], [[1]], [[0]]], dtype=torch.uint8)).tolist()
            [[261]]
        """
        return cls(panoptic_to_labels(png))

    @classmethod
    def from_coco_annotations(
        cls, annotations: list[dict[str, Any]], height: int, width: int, overlap: str = "smallest"
    ) -> Self:
        """Make a map from COCO instance annotations: polygons, RLE or compressed RLE.

        Needs the extra ``segmenters``.

        Args:
            annotations: COCO annotation dicts with a ``segmentation``. Annotation i becomes label i + 1.
            height: Height of the image in pixels.
            width: Width of the image in pixels.
            overlap: As in :meth:`from_masks`.

        Returns:
            The map, of shape (height, width).

        Raises:
            ValueError: If an RLE is of another size.

        Example:
            >>> box = {"segmentation": [[1, 0, 3, 0, 3, 1, 1, 1]]}
            >>> SegmentMap.from_coco_annotations([box], height=2, width=4).tolist()
            [[0, 1, 1, 0], [0, 0, 0, 0]]
        """
        return cls.from_masks(annotations_to_masks(annotations, height, width), overlap)

    @property
    def num_segments(self) -> int:
        """How many different labels above 0 there are."""
        labels = torch.unique(self.as_subclass(torch.Tensor))
        return int((labels > 0).sum())


def _hint(is_bool: bool) -> str:
    return "; for one bool mask per segment: SegmentMap.from_masks" if is_bool else ""


def check_masks(name: str, masks: Any) -> torch.Tensor:
    """Return (N, H, W) bool masks, or say what is wrong with ``masks``."""
    if isinstance(masks, np.ndarray) and masks.dtype.kind in "biuf":
        masks = torch.from_numpy(masks.copy())
    if not isinstance(masks, torch.Tensor):
        raise TypeError(f"{name} must be a tensor or an array of shape (N, H, W), got {describe(masks)}")
    masks = masks.as_subclass(torch.Tensor)
    if masks.ndim != 3:
        raise ValueError(f"{name} must have shape (N, H, W), got {describe(masks)}")
    if masks.dtype == torch.bool:
        return masks
    if masks.is_floating_point() or masks.is_complex() or not ((masks == 0) | (masks == 1)).all():
        raise TypeError(f"{name} must be bool (or integers 0 and 1), got {describe(masks)}")
    return masks.bool()


def _register_geometry() -> None:
    """Give SegmentMap its own geometry kernels: exact for large labels, and 0 for what is uncovered.

    torchvision's mask kernels work in float32, which merges labels above 2^24, and paint ``fill`` into masks.
    """

    def make_kernel(name: str) -> Any:
        mask_kernel = getattr(F, f"{name}_mask")

        def kernel(inpt: SegmentMap, *args: Any, **kwargs: Any) -> SegmentMap:
            labels = inpt.as_subclass(torch.Tensor)
            if "fill" in kwargs:
                kwargs["fill"] = 0 if name == "pad" else None
            if name in ("resize", "resized_crop"):
                kwargs = {key: value for key, value in kwargs.items() if key not in ("interpolation", "antialias")}
            elif name in ("affine", "rotate", "perspective", "elastic"):
                kwargs.pop("interpolation", None)
            if not labels.numel() or int(labels.max()) <= _LARGEST_EXACT_LABEL:
                return mask_kernel(labels, *args, **kwargs).as_subclass(SegmentMap)
            values, dense = torch.unique(labels, return_inverse=True)
            # Value 0 must stay index 0, since that is what the kernels fill with.
            if int(values[0]) != 0:
                values, dense = torch.cat([values.new_zeros(1), values]), dense + 1
            return values[mask_kernel(dense, *args, **kwargs)].as_subclass(SegmentMap)

        return kernel

    for name in ("affine", "elastic", "pad", "perspective", "resize", "resized_crop", "rotate"):
        F.register_kernel(getattr(F, name), SegmentMap)(make_kernel(name))


_register_geometry()
