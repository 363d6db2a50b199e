"""annotated_images: samples of a detection data set."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torchvision import tv_tensors

from segaug.testing.strategies._bounds import Sizes, check_counts, check_sizes
from segaug.testing.strategies._contents import CONTENTS
from segaug.testing.strategies._images import Looks, check_looks, draw_image
from segaug.testing.strategies._layouts import LAYOUTS
from segaug.testing.strategies._masks import draw_masks

__all__ = ["annotated_images"]

# COCO's; 0 is the background.
_CLASSES = st.integers(1, 90)


def annotated_images(
    *,
    dtypes: torch.dtype | Sequence[torch.dtype] = (torch.uint8, torch.float32),
    channels: int | Sequence[int] = (1, 3),
    min_side: int = 1,
    max_side: int = 32,
    size: tuple[int, int] | None = None,
    min_objects: int = 0,
    max_objects: int = 4,
    layouts: str | Sequence[str] = LAYOUTS,
    contents: str | Sequence[str] = CONTENTS,
) -> st.SearchStrategy[dict[str, Any]]:
    """Draw samples as torchvision's detection data sets give them: an image with masks, boxes, key points and labels.

    They agree with each other: each box is the least that holds its mask, each key point is a pixel of its mask. Objects
    may overlap. Shrinks to a small, black, contiguous picture with few objects of one pixel.

    Args:
        dtypes: As in :func:`images`.
        channels: As in :func:`images`.
        min_side: The least height and width in pixels.
        max_side: The largest height and width.
        size: (H, W), for this size alone.
        min_objects: The least number of objects.
        max_objects: The largest number of objects.
        layouts: As in :func:`images`.
        contents: As in :func:`images`.

    Returns:
        A strategy of dicts: ``"image"`` (C, H, W); ``"masks"`` (N, H, W) bool, none empty; ``"boxes"`` (N, 4) float32,
        XYXY, half-open; ``"keypoints"`` (N, 2) float32; ``"labels"`` (N,) int64, 1 to 90.

    Raises:
        TypeError: If a bound is no int.
        ValueError: As in :func:`images`, or if ``min_objects`` is above ``max_objects``.

    Example:
        >>> from hypothesis import find
        >>> sample = find(annotated_images(), lambda sample: len(sample["masks"]) == 1)
        >>> sample["image"].tolist(), sample["boxes"].tolist(), sample["labels"].tolist()
        ([[[0]]], [[0.0, 0.0, 1.0, 1.0]], [1])
    """
    looks = check_looks(dtypes, channels, layouts, contents)
    sizes = check_sizes(min_side, max_side, size)
    return _annotated_images(looks, sizes, check_counts("objects", min_objects, max_objects))


@st.composite
def _annotated_images(draw: st.DrawFn, looks: Looks, sizes: Sizes, bounds: tuple[int, int]) -> dict[str, Any]:
    count = draw(st.integers(*bounds))
    height, width = size = sizes.draw(draw)
    stack = draw_masks(draw, count, size, empty=False)
    corners, points = [], []
    for mask in stack:
        rows, columns = np.nonzero(mask)
        corners.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        place = draw(st.integers(0, rows.size - 1))
        points.append([columns[place], rows[place]])
    labels = [draw(_CLASSES) for _ in range(count)]
    box_data = torch.from_numpy(np.array(corners, dtype=np.float32).reshape(-1, 4))
    point_data = torch.from_numpy(np.array(points, dtype=np.float32).reshape(-1, 2))
    return {
        "image": draw_image(draw, looks, size),
        "masks": torch.from_numpy(stack).as_subclass(tv_tensors.Mask),
        "boxes": tv_tensors.BoundingBoxes(box_data, format="XYXY", canvas_size=(height, width)),
        "keypoints": tv_tensors.KeyPoints(point_data, canvas_size=(height, width)),
        "labels": torch.tensor(labels, dtype=torch.int64),
    }
