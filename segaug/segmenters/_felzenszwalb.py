"""Felzenszwalb's graph-based segments."""

import torch

from segaug._checks import check_int, check_number
from segaug._optional import require
from segaug.segmenters._base import Segmenter, as_rgb_array, consecutive, tidy_number

__all__ = ["Felzenszwalb"]


class Felzenszwalb(Segmenter):
    """Segments of uneven size that follow the edges of colours.

    From Felzenszwalb and Huttenlocher, "Efficient Graph-Based Image Segmentation", IJCV 59(2), 2004; computed by
    scikit-image, whose option names it has.

    Every pixel is in a segment; labels are 1..S. Grey images are segmented as RGB with equal channels, so that
    ``scale`` means the same for both. Needs the extra ``segmenters``.

    Args:
        scale: How much unevenness a segment may have (the paper's k), at least 0: higher is fewer and larger segments.
        sigma: Standard deviation in pixels of the Gaussian smoothing beforehand; 0 is none.
        min_size: Smaller segments are merged into a neighbour, in pixels, at least 0.

    Raises:
        TypeError: If an option is of another type.
        ValueError: If an option is out of its range.
        ImportError: If scikit-image is not installed.

    Example:
        >>> Felzenszwalb(scale=60, min_size=25)
        Felzenszwalb(scale=60, sigma=0.8, min_size=25)
        >>> image = torch.zeros(3, 20, 20, dtype=torch.uint8)
        >>> image[:, 5:15, 5:15] = 255
        >>> Felzenszwalb(sigma=0)(image)[::5, ::5].tolist()
        [[1, 1, 1, 1], [1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 1, 1]]
    """

    _distributions = ("scikit-image",)

    def __init__(self, scale: float = 100.0, sigma: float = 0.8, min_size: int = 20) -> None:
        require("skimage.segmentation", extra="segmenters")
        super().__init__(
            scale=tidy_number(check_number("scale", scale, minimum=0.0)),
            sigma=tidy_number(check_number("sigma", sigma, minimum=0.0)),
            min_size=check_int("min_size", min_size, minimum=0),
        )

    def segment(self, image: torch.Tensor) -> torch.Tensor:
        """Label the pixels of a checked image; see :class:`Segmenter`."""
        segmentation = require("skimage.segmentation", extra="segmenters")
        return consecutive(segmentation.felzenszwalb(as_rgb_array(image), **self.options, channel_axis=-1))
