"""Random cells: segments of uneven shape that know nothing of the image, as a control."""

import torch

from segaug._checks import check_int
from segaug.segmenters._base import Segmenter

__all__ = ["Voronoi"]


class Voronoi(Segmenter):
    """Cut the image into the cells of ``n`` random points, whatever is in it.

    The control between :class:`Grid` and segmenters that look at the image: cells of uneven size and shape, but no
    object's outline (Voronoi diagram: Aurenhammer, ACM Computing Surveys 23(3), 1991).

    The points are distinct pixels, drawn by a generator of their own: the same seed and image size give the same cells,
    and no global random state is read or changed. Labels run from 1 to n in the order of the points, row by row; a
    pixel that is equally near to several points goes to the first of them.

    Args:
        n: Number of cells, at least 1.
        seed: Seed of the points, at least 0.

    Raises:
        ValueError: If ``n`` is below 1 or ``seed`` below 0; when called, if the image has fewer than ``n`` pixels.

    Example:
        >>> cells = Voronoi(5, seed=1)(torch.zeros(3, 20, 30, dtype=torch.uint8))
        >>> cells.unique().tolist()
        [1, 2, 3, 4, 5]
    """

    # The stream of torch's generator.
    _distributions = ("torch",)

    def __init__(self, n: int, seed: int = 0) -> None:
        self._n = check_int("n", n, minimum=1)
        self._seed = check_int("seed", seed, minimum=0)
        super().__init__(n=n, seed=seed)

    def segment(self, image: torch.Tensor) -> torch.Tensor:
        """Label the pixels of a checked image; see :class:`Segmenter`."""
        height, width = image.shape[-2:]
        if height * width < self._n:
            raise ValueError(f"image must have at least {self._n} pixels for {self!r}, got {height} x {width}")
        generator = torch.Generator().manual_seed(self._seed)
        points = torch.randperm(height * width, generator=generator)[: self._n].sort().values
        index = torch.arange(self._n)[:, None]
        # Squared distance and point's index in one integer, so that one minimum gives both and ties go to the first
        # point. One point after the other: (n, H, W) would not fit the cache, let alone the memory.
        along_y = (torch.arange(height) - (points // width)[:, None]) ** 2 * self._n + index
        along_x = (torch.arange(width) - (points % width)[:, None]) ** 2 * self._n
        nearest = along_y[0][:, None] + along_x[0]
        candidate = torch.empty_like(nearest)
        for y, x in zip(along_y[1:, :, None], along_x[1:, None], strict=True):
            torch.add(y, x, out=candidate)
            torch.minimum(nearest, candidate, out=nearest)
        return nearest % self._n + 1
