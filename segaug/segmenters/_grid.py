"""Rectangles: the segments of an ordinary Vision Transformer, as a control."""

import torch

from segaug._checks import check_int
from segaug.segmenters._base import Segmenter

__all__ = ["Grid"]


class Grid(Segmenter):
    """Cut the image into ``rows`` x ``cols`` rectangles, whatever is in it.

    The control for every other segmenter: with 14 x 14 on a 224 x 224 image the segments are the 16 x 16 patches of ViT
    (Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, section 3.1).

    Labels run from 1 to rows * cols, row by row. Where the size is not divisible, pixel y is in row
    ``y * rows // height``: sides differ by at most one pixel.

    Args:
        rows: Number of rectangles from top to bottom, at least 1.
        cols: Number of rectangles from left to right, at least 1.

    Raises:
        ValueError: If one of them is below 1; when called, if the image has fewer pixels than rectangles in a
            direction.

    Example:
        >>> Grid(2, 3)(torch.zeros(3, 4, 6, dtype=torch.uint8))[:, ::2].tolist()
        [[1, 2, 3], [1, 2, 3], [4, 5, 6], [4, 5, 6]]
    """

    depends_on_pixels = False

    def __init__(self, rows: int, cols: int) -> None:
        self._rows = check_int("rows", rows, minimum=1)
        self._cols = check_int("cols", cols, minimum=1)
        super().__init__(rows=rows, cols=cols)

    def segment(self, image: torch.Tensor) -> torch.Tensor:
        """Label the pixels of a checked image; see :class:`Segmenter`."""
        height, width = image.shape[-2:]
        if height < self._rows or width < self._cols:
            raise ValueError(
                f"image must be at least {self._rows} x {self._cols} pixels (height x width) for {self!r}, "
                f"got {height} x {width}"
            )
        row = torch.arange(height) * self._rows // height
        col = torch.arange(width) * self._cols // width
        return row[:, None] * self._cols + col + 1
