"""boxes: bounding boxes inside a canvas."""

from collections.abc import Sequence

import torch
from hypothesis import strategies as st
from torchvision import tv_tensors

from segaug.testing.strategies._bounds import Sizes, check_counts, check_names, check_sizes, chosen, draw_span

__all__ = ["boxes"]

_FORMATS = ("XYXY", "XYWH", "CXCYWH")
# Whole pixels first; quarters of them are exact in float32, halved for a centre too.
_STEPS_PER_PIXEL = st.sampled_from((1, 4))


def boxes(
    *,
    canvas_size: tuple[int, int] | None = None,
    min_side: int = 1,
    max_side: int = 32,
    min_boxes: int = 0,
    max_boxes: int = 4,
    formats: str | Sequence[str] = ("XYXY",),
) -> st.SearchStrategy[tv_tensors.BoundingBoxes]:
    """Draw bounding boxes.

    They lie inside their canvas and have a positive width and height; their corners are whole pixels or quarters. Shrinks
    to few boxes of one pixel at the top left of a small canvas, in the first format.

    Args:
        canvas_size: (H, W), for this canvas alone.
        min_side: The least height and width of the canvas in pixels.
        max_side: The largest height and width of the canvas.
        min_boxes: The least number of boxes.
        max_boxes: The largest number of boxes.
        formats: One or several of ``"XYXY"``, ``"XYWH"`` and ``"CXCYWH"``.

    Returns:
        A strategy of ``tv_tensors.BoundingBoxes``, (N, 4) float32, in pixels.

    Raises:
        TypeError: If a bound is no int.
        ValueError: If a bound is too small, a maximum below its minimum, or a format unknown.

    Example:
        >>> from hypothesis import find
        >>> find(boxes(), lambda found: len(found) == 1 and found[0, 2] > 2).tolist()
        [[0.0, 0.0, 3.0, 1.0]]
    """
    sizes = check_sizes(min_side, max_side, canvas_size, name="canvas_size")
    names = check_names("formats", formats, _FORMATS)
    return _boxes(sizes, check_counts("boxes", min_boxes, max_boxes), names)


@st.composite
def _boxes(
    draw: st.DrawFn, sizes: Sizes, bounds: tuple[int, int], formats: tuple[str, ...]
) -> tv_tensors.BoundingBoxes:
    name, count = draw(chosen(formats)), draw(st.integers(*bounds))
    height, width = sizes.draw(draw)
    corners = []
    for _ in range(count):
        steps = draw(_STEPS_PER_PIXEL)
        (x0, x1), (y0, y1) = draw_span(draw, width * steps), draw_span(draw, height * steps)
        corners.append([x0 / steps, y0 / steps, x1 / steps, y1 / steps])
    data = torch.tensor(corners, dtype=torch.float32).reshape(-1, 4)
    if name != "XYXY":
        low, high = data[:, :2], data[:, 2:]
        data = torch.cat([low if name == "XYWH" else (low + high) / 2, high - low], dim=1)
    return tv_tensors.BoundingBoxes(data, format=name, canvas_size=(height, width))
