"""segmented_images: an image with its segments."""

from collections.abc import Sequence

import torch
from hypothesis import strategies as st

from segaug._checks import SUPPORTED_CHANNELS
from segaug.structures import SegmentedImage, SegmentMap
from segaug.testing.strategies._bounds import chosen
from segaug.testing.strategies._contents import CONTENTS
from segaug.testing.strategies._images import Looks, check_looks, draw_image
from segaug.testing.strategies._layouts import LAYOUTS, with_layout
from segaug.testing.strategies._segment_maps import SEGMENT_MAP_KINDS, MapBounds, check_map_bounds, draw_segment_map

__all__ = ["segmented_images"]


def segmented_images(
    *,
    dtypes: torch.dtype | Sequence[torch.dtype] = (torch.uint8, torch.float32),
    channels: int | Sequence[int] = SUPPORTED_CHANNELS,
    min_side: int = 1,
    max_side: int = 32,
    size: tuple[int, int] | None = None,
    min_segments: int = 0,
    max_segments: int = 8,
    layouts: str | Sequence[str] = LAYOUTS,
    contents: str | Sequence[str] = CONTENTS,
    kinds: str | Sequence[str] = SEGMENT_MAP_KINDS,
) -> st.SearchStrategy[SegmentedImage]:
    """Draw images with their segments.

    Shrinks as :func:`segment_maps` and :func:`images` do: to a small, black, contiguous picture with few segments.

    Args:
        dtypes: One or several of ``torch.uint8`` and the floating-point dtypes.
        channels: 1, 3 or both.
        min_side: The least height and width in pixels.
        max_side: The largest height and width.
        size: (H, W), for this size alone.
        min_segments: The least number of segments.
        max_segments: The largest number of segments.
        layouts: As in :func:`images`. The map's layout is drawn too, from those of them that fit a map.
        contents: As in :func:`images`.
        kinds: As in :func:`segment_maps`.

    Returns:
        A strategy of :class:`~segaug.SegmentedImage`.

    Raises:
        TypeError: If a bound is no int.
        ValueError: As in :func:`images` and :func:`segment_maps`.

    Example:
        >>> from hypothesis import find
        >>> sample = find(segmented_images(), lambda sample: sample.segments.num_segments == 2)
        >>> sample.image.tolist(), sample.segments.tolist()
        ([[[0, 0]]], [[1, 2]])
    """
    looks = check_looks(dtypes, channels, layouts, contents, allowed_channels=SUPPORTED_CHANNELS)
    return _segmented_images(looks, check_map_bounds(min_side, max_side, size, min_segments, max_segments, kinds))


@st.composite
def _segmented_images(draw: st.DrawFn, looks: Looks, bounds: MapBounds) -> SegmentedImage:
    segments = draw_segment_map(draw, bounds)
    # A map has no channels, and repeating its first row would change its segments.
    layouts = tuple(name for name in looks.layouts if name not in ("channels_last", "expanded")) or ("contiguous",)
    layout = draw(chosen(layouts))
    height, width = segments.shape
    image = draw_image(draw, looks, (height, width))
    return SegmentedImage(image, with_layout(segments, layout).as_subclass(SegmentMap))
