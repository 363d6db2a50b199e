"""Compact watershed superpixels."""

import torch

from segaug._checks import check_int, check_number
from segaug._optional import require
from segaug.segmenters._base import Segmenter, as_rgb_array, consecutive, tidy_number

__all__ = ["Watershed"]


class Watershed(Segmenter):
    """Superpixels that grow from a regular grid of markers and meet at the image's edges.

    From Neubert and Protzel, "Compact Watershed and Preemptive SLIC", ICPR 2014; computed by scikit-image, by its
    ``watershed`` on the Sobel gradient of the luminance.

    Every pixel is in a segment; labels are 1..S. Needs the extra
    ``segmenters``.

    Args:
        n_segments: About how many segments (scikit-image's ``markers``), at least 1.
        compactness: Weight of the distance to the marker against the gradient, at least 0: higher is squarer. 0 is the
            classic watershed.

    Raises:
        TypeError: If an option is of another type.
        ValueError: If an option is out of its range.
        ImportError: If scikit-image is not installed.

    Example:
        >>> Watershed(n_segments=4)(torch.zeros(3, 8, 8, dtype=torch.uint8))[::7, ::7].tolist()
        [[1, 2], [3, 4]]
    """

    _distributions = ("scikit-image",)

    def __init__(self, n_segments: int = 100, compactness: float = 0.001) -> None:
        require("skimage.segmentation", extra="segmenters")
        super().__init__(
            n_segments=check_int("n_segments", n_segments, minimum=1),
            compactness=tidy_number(check_number("compactness", compactness, minimum=0.0)),
        )

    def segment(self, image: torch.Tensor) -> torch.Tensor:
        """Label the pixels of a checked image; see :class:`Segmenter`."""
        color = require("skimage.color", extra="segmenters")
        filters = require("skimage.filters", extra="segmenters")
        segmentation = require("skimage.segmentation", extra="segmenters")
        gradient = filters.sobel(color.rgb2gray(as_rgb_array(image)))
        return consecutive(
            segmentation.watershed(
                gradient, markers=self._options["n_segments"], compactness=self._options["compactness"]
            )
        )
