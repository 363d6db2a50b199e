"""Put another picture into a sample."""

from dataclasses import replace
from typing import Any

import torch
from torchvision import tv_tensors

from segaug.structures import SegmentedImage, SegmentTokens
from segaug.testing._compare import named_leaves, plain

__all__ = ["picture_name", "prepared", "with_picture"]


def picture_name(sample: Any) -> str:
    """The name of the leaf that holds the picture."""
    return "patches" if isinstance(sample, SegmentTokens) else "image"


def prepared(sample: Any) -> Any:
    """The sample with distinct labels, six more key points, and coverage that is full or none."""
    if isinstance(sample, SegmentTokens):
        # Straight colours in the whole patch; the coverage yes or no.
        alpha = plain(sample.alpha)
        full = 1 if alpha.is_floating_point() else 255
        return replace(sample, alpha=tv_tensors.Mask(torch.where(alpha.double() * 2 >= full, full, 0).to(alpha.dtype)))
    if isinstance(sample, SegmentedImage):
        return sample
    points = sample["keypoints"]
    height, width = sample["image"].shape[-2:]
    last_x, last_y = width - 1, height - 1
    # The corners, and two inside: a perspective is drawn by where it puts the corners, often a whole pixel.
    places = [
        [0, 0],
        [last_x, 0],
        [0, last_y],
        [last_x, last_y],
        [last_x // 2, last_y // 2],
        [last_x // 3, last_y // 3],
    ]
    more = torch.tensor(places, dtype=points.dtype)
    if points.ndim == 2:
        points = tv_tensors.wrap(torch.cat([plain(points), more]), like=points)
    return {**sample, "keypoints": points, "labels": torch.arange(1, len(sample["labels"]) + 1)}


def with_picture(sample: Any, plane: torch.Tensor) -> Any:
    """The sample with one picture (H, W) for all channels, and all patches of tokens."""
    name = picture_name(sample)
    like = named_leaves(sample)[name]
    picture = tv_tensors.Image(plane.expand(like.shape).clone())
    return {**sample, name: picture} if isinstance(sample, dict) else replace(sample, **{name: picture})
