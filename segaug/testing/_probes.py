"""Fixed samples without symmetries: for finding out what a transform accepts, and for counting its results."""

from typing import Any

import torch
from torchvision import tv_tensors

from segaug.functional import mask_boxes
from segaug.structures import SegmentedImage, SegmentMap, SegmentTokens, collate

__all__ = ["make_probe"]


def make_probe(kind: str, side: int, dtype: torch.dtype, channels: int, segments: int) -> Any:
    """A picture of random pixels, no two alike where that can be; ``segments`` equal parts or pictures of it."""
    picture = _pixels(side, dtype, channels)
    if kind == "image":
        return tv_tensors.Image(picture)
    if kind == "image_batch":
        return tv_tensors.Image(picture.expand(segments, -1, -1, -1).clone())
    if kind == "annotated_image":
        return _annotated(picture, segments)
    if kind == "segmented_image":
        tiled = picture.repeat(1, 1, segments)
        labels = torch.arange(1, segments + 1).repeat_interleave(side).expand(side, -1).clone()
        if side > 1:
            # A corner short, so that a flip shows in the map.
            labels[0, ::side] = 0
        return SegmentedImage(tv_tensors.Image(tiled), SegmentMap(labels))
    tokens = _tokens(picture, segments)
    return tokens if kind == "segment_tokens" else collate([tokens, tokens])


def _pixels(side: int, dtype: torch.dtype, channels: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(side)
    count = channels * side * side
    picture = (torch.randperm(count, generator=generator) * 251 // max(1, count) + 2).view(channels, side, side)
    return picture.to(dtype) / 255 if dtype.is_floating_point else picture.to(dtype)


def _annotated(picture: torch.Tensor, objects: int) -> dict[str, Any]:
    height, width = picture.shape[-2:]
    masks = torch.zeros(objects, height, width, dtype=torch.bool)
    for i in range(objects):
        top = min(i, height - 1)
        masks[i, top : max(top + 1, height // 2), : max(1, width // 3)] = True
    return {
        "image": tv_tensors.Image(picture),
        "masks": tv_tensors.Mask(masks),
        "boxes": tv_tensors.BoundingBoxes(mask_boxes(masks).float(), format="XYXY", canvas_size=(height, width)),
        "keypoints": tv_tensors.KeyPoints(
            torch.tensor([[0.0, min(i, height - 1)] for i in range(objects)]).view(-1, 2), canvas_size=(height, width)
        ),
        "labels": torch.arange(1, objects + 1),
    }


def _tokens(picture: torch.Tensor, segments: int) -> SegmentTokens:
    side = picture.shape[-1]
    alpha = torch.full((side, side), 1 if picture.is_floating_point() else 255, dtype=picture.dtype)
    if side > 1:
        # A corner short, so that a flip shows in the coverage.
        alpha[0, 0] = 0
        picture = torch.where(alpha > 0, picture, 0)
    left = torch.linspace(0, 0.5, segments + 1)[:segments]
    boxes = torch.stack([left, left / 2, left + 0.5 / segments, left / 2 + 0.25], -1)
    return SegmentTokens(
        tv_tensors.Image(picture.expand(segments, -1, -1, -1).clone()),
        tv_tensors.Mask(alpha.expand(segments, -1, -1).clone()),
        boxes.float(),
        (boxes[:, 2:] - boxes[:, :2]).prod(-1).float() * 0.8,
        torch.arange(1, segments + 1),
    )
