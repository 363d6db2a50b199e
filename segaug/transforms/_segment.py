"""Segment: from an image to an image with its segments."""

from collections.abc import Callable
from typing import Any

import PIL.Image
import torch
from torch.utils import _pytree as pytree
from torchvision import tv_tensors
from torchvision.transforms import v2

from segaug._checks import describe
from segaug.structures import SegmentedImage, SegmentMap

__all__ = ["Segment"]


class Segment(v2.Transform):
    """Segment the image of a sample; a :class:`~segaug.SegmentedImage` takes its place.

    Segmentation is slow: for training run it once per image and keep the result.

    Args:
        segmenter: Any callable from an image to a :class:`~segaug.SegmentMap`, such as those of
            :mod:`segaug.segmenters`.

    Raises:
        TypeError: If ``segmenter`` is not callable, or returns no map.
        ValueError: If a sample does not hold exactly one image, or the map does not fit it.

    Example:
        >>> from segaug import Grid, Segment
        >>> image, target = torch.zeros(3, 8, 8, dtype=torch.uint8), 5
        >>> sample, target = Segment(Grid(2, 2))(image, target)
        >>> sample.segments.num_segments, target
        (4, 5)
    """

    def __init__(self, segmenter: Callable[[Any], torch.Tensor]) -> None:
        super().__init__()
        if not callable(segmenter):
            raise TypeError(f"segmenter must be callable, got {describe(segmenter)}")
        self.segmenter = segmenter

    def forward(self, *inputs: Any) -> Any:
        """Replace the image by the image and its segments."""
        sample = inputs if len(inputs) > 1 else inputs[0]
        leaves, spec = pytree.tree_flatten(sample, is_leaf=lambda node: isinstance(node, SegmentedImage))
        if any(isinstance(leaf, SegmentedImage) for leaf in leaves):
            raise ValueError("Segment takes an image, got a SegmentedImage: it is segmented already")
        images = [i for i, leaf in enumerate(leaves) if isinstance(leaf, tv_tensors.Image | PIL.Image.Image)]
        if not images:
            # As torchvision does: without a typed image, the first plain tensor is the image.
            plain = (i for i, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor))
            images = [i for i in plain if not isinstance(leaves[i], tv_tensors.TVTensor)][:1]
        if len(images) != 1:
            raise ValueError(f"Segment takes a sample with exactly one image, got {len(images)}")
        leaves[images[0]] = self.transform(leaves[images[0]], {})
        return pytree.tree_unflatten(leaves, spec)

    def transform(self, inpt: Any, params: dict[str, Any]) -> SegmentedImage:
        """Segment one image."""
        segments = self.segmenter(inpt)
        if not isinstance(segments, torch.Tensor):
            raise TypeError(f"segmenter must return a SegmentMap, got {describe(segments)} from {self.segmenter!r}")
        return SegmentedImage(inpt, segments if isinstance(segments, SegmentMap) else SegmentMap(segments))

    def extra_repr(self) -> str:
        """Name the segmenter."""
        return repr(self.segmenter)
