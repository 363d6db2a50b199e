"""keypoints: points on the pixels of a canvas."""

import torch
from hypothesis import strategies as st
from torchvision import tv_tensors

from segaug.testing.strategies._bounds import Sizes, check_counts, check_sizes

__all__ = ["keypoints"]


def keypoints(
    *,
    canvas_size: tuple[int, int] | None = None,
    min_side: int = 1,
    max_side: int = 32,
    min_keypoints: int = 0,
    max_keypoints: int = 4,
) -> st.SearchStrategy[tv_tensors.KeyPoints]:
    """Draw key points, each the index of a pixel: x in 0 ... W - 1, y in 0 ... H - 1.

    Shrinks to few points at the top left of a small canvas.

    Args:
        canvas_size: (H, W), for this canvas alone.
        min_side: The least height and width of the canvas in pixels.
        max_side: The largest height and width of the canvas.
        min_keypoints: The least number of points.
        max_keypoints: The largest number of points.

    Returns:
        A strategy of ``tv_tensors.KeyPoints``, (N, 2) float32, x before y.

    Raises:
        TypeError: If a bound is no int.
        ValueError: If a bound is too small, or a maximum below its minimum.

    Example:
        >>> from hypothesis import find
        >>> find(keypoints(), lambda points: len(points) == 1 and points[0, 0] > 2).tolist()
        [[3.0, 0.0]]
    """
    sizes = check_sizes(min_side, max_side, canvas_size, name="canvas_size")
    return _keypoints(sizes, check_counts("keypoints", min_keypoints, max_keypoints))


@st.composite
def _keypoints(draw: st.DrawFn, sizes: Sizes, bounds: tuple[int, int]) -> tv_tensors.KeyPoints:
    count = draw(st.integers(*bounds))
    height, width = sizes.draw(draw)
    points = [[draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))] for _ in range(count)]
    data = torch.tensor(points, dtype=torch.float32).reshape(-1, 2)
    return tv_tensors.KeyPoints(data, canvas_size=(height, width))
