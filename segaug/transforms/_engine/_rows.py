"""Entries of a detection sample that have one row per segment, such as labels: finding them, and letting them follow."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image
import torch
from torch.utils import _pytree as pytree
from torchvision import tv_tensors

from segaug._checks import describe
from segaug.structures import SegmentedImage, SegmentTokens

__all__ = ["Leaf", "check_unclear", "follow_rows", "map_leaves", "sort_rows"]

# Keys of entries with one row per segment, wherever they are; and any with "label" in its name.
_ROW_KEYS = frozenset(
    [
        *(
            "area",
            "areas",
            "bbox",
            "category_id",
            "category_ids",
            "id",
            "ids",
            "instance_id",
            "instance_ids",
            "iscrowd",
        ),
        *("score", "scores", "segmentation"),
    ]
)
# Those of them, beside ``labels``, that a count other than that of the boxes or masks is an error for.
_STRICT_KEYS = frozenset(["area", "bbox", "category_id", "iscrowd", "labels"])
# Keys of entries that belong to the picture, whatever their length.
_PICTURE_KEYS = frozenset(
    [
        *("K", "canvas_size", "caption", "captions", "class_names", "classes", "image_id", "image_size", "intrinsics"),
        *("label_names", "mean", "orig_size", "original_size", "shape", "size", "std"),
    ]
)
_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


@dataclass(frozen=True)
class Leaf:
    """A part of a sample: what is not taken apart, and where it is."""

    key: Any  # in its dict, or None
    value: Any
    home: int | None = None  # which dict that is


def map_leaves(node: Any, visit: Callable[[Leaf], Any], key: Any = None, home: int | None = None) -> Any:
    """Rebuild a sample from ``visit`` of each leaf; a list in a dict is a leaf unless it holds images, masks or dicts."""
    children, spec = pytree.tree_flatten(node, is_leaf=lambda other: other is not node)
    is_leaf = isinstance(node, SegmentTokens) or (len(children) == 1 and children[0] is node)
    if is_leaf or (
        isinstance(node, list | tuple) and isinstance(key, str) and (_is_row_key(key) or not _holds_parts(node))
    ):
        return visit(Leaf(key, node, home))
    keys = list(node) if isinstance(node, dict) else [None] * len(children)
    inner = id(node) if isinstance(node, dict) else None
    new = [map_leaves(child, visit, name, inner) for name, child in zip(keys, children, strict=True)]
    return pytree.tree_unflatten(new, spec)


def _holds_parts(value: Any) -> bool:
    """Whether a list is more than rows: holds parts of a sample."""
    if isinstance(value, list | tuple):
        return any(map(_holds_parts, value))
    return isinstance(value, tv_tensors.TVTensor | PIL.Image.Image | SegmentedImage | SegmentTokens | dict)


def sort_rows(leaves: list[Leaf], count: int, what: str, size: torch.Size, must_fit: bool) -> tuple[set[int], set[int]]:
    """Find the leaves with one row for each of ``count`` segments, and those that cannot follow or are unclear.

    Raises:
        ValueError: If ``must_fit`` and a well-known one has another number of rows.
    """
    rows = set()
    homes = {leaf.home for leaf in leaves if isinstance(leaf.value, tv_tensors.BoundingBoxes | tv_tensors.Mask)}
    for at, leaf in enumerate(leaves):
        if not _has_rows(leaf):
            continue
        if len(leaf.value) == count:
            rows.add(at)
            homes.add(leaf.home)
        elif must_fit and leaf.key in _STRICT_KEYS:
            raise ValueError(f"{leaf.key} must have one entry per segment, got {len(leaf.value)} for {count} {what}")
    unclear = set()
    for at, leaf in enumerate(leaves):
        # What stands beside boxes, masks or labels in their dict, and is as long, belongs to the segments as they do.
        if leaf.home is None or leaf.home not in homes or at in rows or not _may_have_rows(leaf, count, size):
            continue
        if count == 1 or leaf.key in ("boxes", "bboxes"):
            unclear.add(at)
        else:
            rows.add(at)
    return rows, unclear


def _is_row_key(key: Any) -> bool:
    return isinstance(key, str) and key not in _PICTURE_KEYS and (key in _ROW_KEYS or "label" in key.lower())


def _has_rows(leaf: Leaf) -> bool:
    """Whether its key, or in a tuple its type, says that it has one row per segment."""
    value = leaf.value
    if isinstance(value, list | tuple):
        return _is_row_key(leaf.key)
    if not (type(value) is torch.Tensor or isinstance(value, np.ndarray)) or value.ndim < 1:
        return False
    if leaf.home is not None:
        return _is_row_key(leaf.key)
    return value.ndim == 1 and (
        value.dtype in _INTEGERS if isinstance(value, torch.Tensor) else value.dtype.kind in "iu"
    )


def _may_have_rows(leaf: Leaf, count: int, size: torch.Size) -> bool:
    value = leaf.value
    if leaf.key in _PICTURE_KEYS:
        return False
    if isinstance(value, list):
        return len(value) == count
    if not (type(value) is torch.Tensor or isinstance(value, np.ndarray)):
        return False
    # Not a picture beside the picture, such as its depth.
    return value.ndim > 0 and len(value) == count and tuple(value.shape[-2:]) != tuple(size)


def check_unclear(leaf: Leaf, changed: torch.Tensor, kept: torch.Tensor) -> None:
    """Raise where an entry would get out of step with the segments.

    Raises:
        TypeError: If it holds boxes, some of which changed, in a form that is not known.
        ValueError: If the only segment vanished and it is not known whose entry this is.
    """
    if leaf.key in ("boxes", "bboxes"):
        if bool(changed.any()) or not bool(kept.all()):
            raise TypeError(
                f"{leaf.key} must be tv_tensors.BoundingBoxes to follow the segments, got {describe(leaf.value)}"
            )
    elif not bool(kept.all()):
        raise ValueError(
            f"{leaf.key} must not be of length 1 beside a single segment, which has vanished, as whose entry it is is not "
            f"known, got {describe(leaf.value)}: put what is the picture's in a dict of its own, or make it a number"
        )


def follow_rows(leaf: Leaf, boxes: torch.Tensor, areas: torch.Tensor, changed: torch.Tensor, kept: torch.Tensor) -> Any:
    """Rows of the segments that are left; new areas, and boxes by COCO's XYWH, of those that changed."""
    value = leaf.value
    new = None
    if leaf.key in ("area", "areas"):
        new = areas
    elif leaf.key == "bbox":
        new = torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], dim=-1)
    if isinstance(value, list | tuple):
        stays = kept.tolist()
        rows = list(value)
        if new is not None:
            for i in changed.nonzero().flatten().tolist():
                rows[i] = _like(rows[i], new[i])
        return type(value)(row for row, one in zip(rows, stays, strict=True) if one)
    if isinstance(value, np.ndarray):
        if new is not None and math.prod(value.shape) == new.numel():
            where = changed.cpu().numpy().reshape(-1, *[1] * (value.ndim - 1))
            value = np.where(where, new.cpu().numpy().reshape(value.shape).astype(value.dtype), value)
        return value[kept.cpu().numpy()]
    if new is not None and value.numel() == new.numel():
        is_new = changed.to(value.device).view(-1, *[1] * (value.ndim - 1))
        value = torch.where(is_new, new.to(device=value.device, dtype=value.dtype).view(value.shape), value)
    return value[kept.to(value.device)]


def _like(old: Any, new: torch.Tensor) -> Any:
    """A new row in the type of the old one."""
    if isinstance(old, torch.Tensor):
        return new.to(device=old.device, dtype=old.dtype).view(old.shape)
    if isinstance(old, np.ndarray):
        return new.cpu().numpy().astype(old.dtype).reshape(old.shape)
    if isinstance(old, list | tuple):
        return type(old)(type(one)(side) for one, side in zip(old, new.tolist(), strict=True))
    return type(old)(new.item())
