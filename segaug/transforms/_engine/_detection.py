"""Samples as torchvision's detection references have them: what belongs to which segment, and putting it together again."""

from dataclasses import dataclass
from typing import Any

import PIL.Image
import torch
import torchvision.transforms.v2.functional as F
from torch.utils import _pytree as pytree
from torchvision import tv_tensors

from segaug._checks import describe
from segaug.functional import mask_boxes, segment_areas, segment_boxes
from segaug.functional._labels import find_runs, number_runs
from segaug.structures import SegmentedImage, SegmentMap, SegmentTokens
from segaug.structures._segment_map import check_masks
from segaug.transforms._engine._picture import Picture
from segaug.transforms._engine._rows import Leaf, check_unclear, follow_rows, map_leaves, sort_rows

__all__ = ["Detection", "find_detection"]

_FORMATS = (tv_tensors.BoundingBoxFormat.XYXY, tv_tensors.BoundingBoxFormat.XYWH, tv_tensors.BoundingBoxFormat.CXCYWH)
# Boxes of annotations are rounded, so they may reach over the edge by as much.
_SLACK = 0.5


@dataclass(frozen=True)
class Detection:
    """A sample with one picture, and the entries that have one row per segment."""

    sample: Any
    leaves: list[Leaf]
    image_at: int
    map_at: int
    masks: torch.Tensor | None  # (N, H, W) bool, where the segments come as masks
    segmented: SegmentedImage
    rows_at: frozenset[int]  # leaves with one row per segment
    unclear_at: frozenset[int]  # leaves that cannot follow, or of which it is not known whether they should

    def picture(self) -> Picture:
        """The picture as PerSegment works on it."""
        # Masks are larger than what is seen of them, and what lies on top goes by their size.
        areas = None if self.masks is None else self.masks.sum((-2, -1))
        return Picture.read(self.segmented, areas)

    def rebuild(self, before: Picture, after: Picture) -> Any:
        """The sample with the changed picture: map, masks, boxes and rows follow."""
        if self.masks is None:
            new_map, kept, changed, boxes, areas = self._map_follows(before, after)
        else:
            new_map, kept, changed, boxes, areas = self._masks_follow(self.masks, before, after)
        for at in self.unclear_at:
            check_unclear(self.leaves[at], changed, kept)
        values = [leaf.value for leaf in self.leaves]
        image = after.image.as_subclass(tv_tensors.Image)
        values[self.image_at] = image
        values[self.map_at] = new_map
        for at in self.rows_at:
            leaf = self.leaves[at]
            if isinstance(leaf.value, tv_tensors.BoundingBoxes):
                values[at] = _follow_boxes(leaf.value, boxes, changed, kept)
            else:
                values[at] = follow_rows(leaf, boxes, areas, changed, kept)
        new = iter(values)
        return map_leaves(self.sample, lambda leaf: next(new))

    def _map_follows(self, before: Picture, after: Picture) -> tuple[torch.Tensor, ...]:
        old, new = before.rows, after.rows
        count = before.count - 1
        touched = torch.zeros(count + 1, dtype=torch.bool, device=old.device)
        touched[list(after.moved)] = True
        differs = old != new
        touched[old[differs]] = True
        areas = segment_areas(new, count)[1:]
        source = self.leaves[self.map_at].value
        labels = after.labels().view(source.shape).to(source.dtype)
        return tv_tensors.wrap(labels, like=source), areas > 0, touched[1:], segment_boxes(new, count), areas

    def _masks_follow(self, masks: torch.Tensor, before: Picture, after: Picture) -> tuple[torch.Tensor, ...]:
        own = before.values - 1  # which mask each row from 1 on is
        new = masks.clone() if after.painted is None else masks & ~after.painted
        moved = sorted(after.moved)
        if moved:
            rows = torch.tensor(moved, device=masks.device)
            new[own[rows - 1]] = after.rows == rows[:, None, None]
        touched = (new != masks).flatten(1).any(1)
        touched[own[[row - 1 for row in moved]]] = True
        areas = new.sum((-2, -1))
        # A mask that was empty before stays.
        kept = (areas > 0) | ~masks.flatten(1).any(1)
        source = self.leaves[self.map_at].value
        return (
            tv_tensors.wrap(new[kept].to(source.dtype), like=source),
            kept,
            touched,
            mask_boxes(new),
            areas,
        )


def find_detection(name: str, sample: Any) -> Detection | None:
    """Read a sample that geometry in the picture can act on; None if it holds no single picture with its map.

    Raises:
        TypeError: If the sample holds what cannot follow.
        ValueError: If boxes, masks, labels and map do not fit together.
    """
    leaves: list[Leaf] = []
    map_leaves(sample, leaves.append)

    def of_kind(*kinds: type) -> list[int]:
        return [at for at, leaf in enumerate(leaves) if isinstance(leaf.value, kinds)]

    images = of_kind(tv_tensors.Image, PIL.Image.Image)
    maps, boxes = of_kind(tv_tensors.Mask), of_kind(tv_tensors.BoundingBoxes)
    parts = pytree.tree_leaves(sample, is_leaf=lambda node: isinstance(node, SegmentedImage | SegmentTokens))
    if any(isinstance(part, SegmentTokens) for part in parts):
        return None
    if len(images) != 1 or len(maps) != 1:
        pairs = sum(isinstance(part, SegmentedImage) for part in parts)
        if pairs and (boxes or len(images) != pairs or len(maps) != pairs):
            raise ValueError(
                f"{name} moves segments in a picture, which boxes and masks beside it follow in samples of one picture with "
                f"one map, got {len(images)} images, {len(maps)} maps and {len(boxes)} boxes"
            )
        return None
    if of_kind(tv_tensors.KeyPoints):
        raise TypeError(f"{name} cannot move KeyPoints with a segment in a picture: leave them out of the sample")
    source = leaves[maps[0]].value
    masks = None
    if source.ndim == 3 and not isinstance(source, SegmentMap):
        masks = check_masks("masks", source)
        segments = SegmentMap.from_masks(masks)
        count, what = len(masks), "masks"
    else:
        segments = source if isinstance(source, SegmentMap) else SegmentMap(source.as_subclass(torch.Tensor))
        labels = number_runs(find_runs(segments.as_subclass(torch.Tensor)))[1]
        count, what = labels.shape[-1], "segments in the map"
    segmented = SegmentedImage(leaves[images[0]].value, segments)
    for at in boxes:
        _check_boxes(leaves[at].value, count, what, segments.shape[-2:])
    rows, unclear = sort_rows(leaves, count, what, segments.shape[-2:], bool(boxes) or masks is not None)
    return Detection(
        sample, leaves, images[0], maps[0], masks, segmented, frozenset(rows) | frozenset(boxes), frozenset(unclear)
    )


def _check_boxes(boxes: tv_tensors.BoundingBoxes, count: int, what: str, size: torch.Size) -> None:
    if boxes.format not in _FORMATS:
        raise TypeError(f"boxes must be XYXY, XYWH or CXCYWH, got {boxes.format}")
    if boxes.ndim != 2 or len(boxes) != count:
        raise ValueError(
            f"boxes must have one row per segment, got {describe(boxes)} for {count} {what}; boxes of some segments only, "
            "or of none, do not fit the map"
        )
    if tuple(boxes.canvas_size) != tuple(size):
        raise ValueError(f"boxes do not fit the map: their canvas is {tuple(boxes.canvas_size)}, the map {tuple(size)}")
    corners = _corners(boxes).double()
    height, width = size
    limit = corners.new_tensor([width, height, width, height])
    inside = (corners >= -_SLACK) & (corners <= limit + _SLACK)
    if not bool(inside.all()) or bool((corners[:, 2:] < corners[:, :2]).any()):
        wrong = int((~inside.all(-1) | (corners[:, 2:] < corners[:, :2]).any(-1)).nonzero()[0])
        raise ValueError(
            f"boxes do not fit the map: XYXY {[round(float(side), 2) for side in corners[wrong]]} of row {wrong} is not in "
            f"a picture of height {height} and width {width}"
        )


def _corners(boxes: tv_tensors.BoundingBoxes) -> torch.Tensor:
    return F.convert_bounding_box_format(
        boxes.as_subclass(torch.Tensor), boxes.format, tv_tensors.BoundingBoxFormat.XYXY
    )


def _follow_boxes(
    boxes: tv_tensors.BoundingBoxes, new: torch.Tensor, changed: torch.Tensor, kept: torch.Tensor
) -> torch.Tensor:
    old = boxes.as_subclass(torch.Tensor)
    own = F.convert_bounding_box_format(
        new.to(device=old.device, dtype=old.dtype), tv_tensors.BoundingBoxFormat.XYXY, boxes.format
    )
    followed = torch.where(changed.to(old.device)[:, None], own, old)[kept.to(old.device)]
    return tv_tensors.wrap(followed, like=boxes)
