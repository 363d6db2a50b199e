"""Tokenize: from segments in an image to tokens."""

from typing import Any, ClassVar, cast

import torch

from segaug._checks import check_choice, check_flag, check_int, check_unit_range
from segaug.functional import tokenize, tokenize_masks
from segaug.functional._tokenize import ASPECTS, EDGES, Aspect, Edges
from segaug.structures import SegmentedImage, SegmentMap, SegmentTokens
from segaug.structures._segment_map import check_masks
from segaug.structures._segmented_image import as_image
from segaug.transforms._base import SegmentTransform

__all__ = ["Tokenize"]


class Tokenize(SegmentTransform):
    """Crop every segment to its box, black outside it, and resize all to ``size`` x ``size`` (arXiv 2402.17863).

    Takes a :class:`~segaug.SegmentedImage`, or a sample with one image and one ``SegmentMap`` (H, W) or ``Mask``: the
    tokens take the image's place. A ``Mask`` of shape (N, H, W) holds one mask per segment; pixels that several of them
    hold are in the token of each.

    Args:
        size: P, the side of a patch in pixels.
        max_segments: How many segments an image may have. Over it the largest stay, and the rest join the background.
        background: Whether the pixels that no segment covers become one more token, whose box is -1. It is there, black
            and of area 0, even if no pixel is left over; without it those pixels are lost.
        aspect: ``"stretch"`` resizes every crop to a square. ``"keep"`` keeps its proportions: the longer side becomes P,
            and the crop lies in the middle of the patch, with black and no coverage around it.
        edges: ``"soft"``: alpha is the share of each patch's pixel that the segment covers. ``"hard"``: alpha is 0 or
            full, from half coverage on (or from the most that the segment has anywhere, if that is less), and a pixel
            shows the segment's straight colour or black. ``"box"``: no mask, so that what is around the segment in its box
            stays visible; alpha is full there. The background token is masked all the same.

    Raises:
        TypeError: If an argument is of another type, or a sample holds no segments.
        ValueError: If an argument is out of range, or the image holds NaN or floats outside [0, 1].

    Example:
        >>> from segaug import Grid, Segment, Tokenize
        >>> image = torch.zeros(3, 64, 64, dtype=torch.uint8)
        >>> Tokenize(size=16)(Segment(Grid(2, 3))(image))
        SegmentTokens(num_tokens=7, batch=(), patch=(3, 16, 16), dtype=torch.uint8, device=cpu)
    """

    _structures: ClassVar[tuple[type, ...]] = (SegmentedImage,)

    def __init__(
        self,
        size: int = 16,
        max_segments: int = 196,
        background: bool = True,
        *,
        aspect: Aspect = "stretch",
        edges: Edges = "soft",
    ) -> None:
        super().__init__()
        self.size = check_int("size", size, minimum=1)
        self.max_segments = check_int("max_segments", max_segments, minimum=1)
        self.background = check_flag("background", background)
        self.aspect = cast(Aspect, check_choice("aspect", aspect, ASPECTS))
        self.edges = cast(Edges, check_choice("edges", edges, EDGES))

    def transform(self, inpt: SegmentedImage | tuple[Any, torch.Tensor], params: dict[str, Any]) -> SegmentTokens:
        """Tokenise one image."""
        options: dict[str, Any] = {
            "max_segments": self.max_segments,
            "background": self.background,
            "aspect": self.aspect,
            "edges": self.edges,
        }
        if isinstance(inpt, SegmentedImage):
            # Checked again: transforms rebuild the pair from its parts, v2.ToPILImage or a user's own may change either.
            inpt = SegmentedImage(inpt.image, inpt.segments)
            image, segments = inpt.image.as_subclass(torch.Tensor), inpt.segments.as_subclass(torch.Tensor)
            check_unit_range("image", image)
            return SegmentTokens(*tokenize(image, segments, self.size, **options))
        image, masks = as_image("image", inpt[0]).as_subclass(torch.Tensor), check_masks("masks", inpt[1])
        check_unit_range("image", image)
        return SegmentTokens(*tokenize_masks(image, masks, self.size, **options))

    def _join(self, image: Any, segments: torch.Tensor) -> Any:
        if isinstance(segments, SegmentMap):
            return SegmentedImage(image, segments)
        return (image, segments) if segments.ndim == 3 else super()._join(image, segments)
