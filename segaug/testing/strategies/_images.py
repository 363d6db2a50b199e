"""images: pictures of many kinds, sizes and layouts."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torchvision import tv_tensors

from segaug.testing.strategies._bounds import (
    Sizes,
    check_channels,
    check_dtypes,
    check_names,
    check_range,
    check_sizes,
    chosen,
)
from segaug.testing.strategies._contents import CONTENTS, draw_pixels, fitting_contents
from segaug.testing.strategies._layouts import LAYOUTS, with_layout

__all__ = ["Looks", "check_looks", "draw_image", "images"]


@dataclass(frozen=True)
class Looks:
    """What pictures to draw, apart from their size."""

    dtypes: tuple[torch.dtype, ...]
    channels: tuple[int, ...]
    layouts: tuple[str, ...]
    contents: tuple[str, ...]


def images(
    *,
    dtypes: torch.dtype | Sequence[torch.dtype] = (torch.uint8, torch.float32),
    channels: int | Sequence[int] = (1, 3),
    min_side: int = 1,
    max_side: int = 32,
    size: tuple[int, int] | None = None,
    batch: int | tuple[int, int] | None = None,
    layouts: str | Sequence[str] = LAYOUTS,
    contents: str | Sequence[str] = CONTENTS,
) -> st.SearchStrategy[tv_tensors.Image]:
    """Draw images.

    Shrinks to the first dtype and number of channels, to few and small pictures, the first layout (contiguous), the first
    content (flat), and black.

    Args:
        dtypes: One or several of ``torch.uint8`` and the floating-point dtypes; floats are in [0, 1].
        channels: One or several numbers of channels, each at least 1.
        min_side: The least height and width in pixels.
        max_side: The largest height and width.
        size: (H, W), for this size alone.
        batch: None for (C, H, W); a number, or (min, max), of pictures for (B, C, H, W).
        layouts: One or several of :data:`LAYOUTS`: how the pixels lie in memory.
        contents: One or several of :data:`CONTENTS`: what is in the pictures. ``"subnormal"`` is for floats alone.

    Returns:
        A strategy of ``tv_tensors.Image``, (C, H, W) or (B, C, H, W).

    Raises:
        TypeError: If a bound is no int.
        ValueError: If a bound is below 1, a maximum below its minimum, a name unknown, or no content is left for a dtype.

    Example:
        >>> from hypothesis import find
        >>> find(images(channels=1), lambda image: image.max() > 200).tolist()
        [[[201]]]
    """
    looks = check_looks(dtypes, channels, layouts, contents)
    sizes = check_sizes(min_side, max_side, size)
    return _images(looks, sizes, None if batch is None else check_range("batch", batch, minimum=1))


def check_looks(
    dtypes: torch.dtype | Sequence[torch.dtype],
    channels: int | Sequence[int],
    layouts: str | Sequence[str],
    contents: str | Sequence[str],
    *,
    allowed_channels: tuple[int, ...] | None = None,
) -> Looks:
    """Check what :func:`images` takes apart from sizes."""
    looks = Looks(
        check_dtypes(dtypes),
        check_channels(channels, allowed_channels),
        check_names("layouts", layouts, LAYOUTS),
        check_names("contents", contents, CONTENTS),
    )
    for dtype in looks.dtypes:
        if not fitting_contents(looks.contents, dtype):
            raise ValueError(f"contents must hold one that fits dtypes, got {looks.contents} for {dtype}")
    return looks


def draw_image(draw: st.DrawFn, looks: Looks, size: tuple[int, int], batch: int | None = None) -> tv_tensors.Image:
    """Draw one image, or a batch, of a size."""
    dtype, channels = draw(chosen(looks.dtypes)), draw(chosen(looks.channels))
    layout = draw(chosen(looks.layouts))
    contents = fitting_contents(looks.contents, dtype)
    shape = (channels, *size)
    pictures = [
        draw_pixels(draw, contents, dtype, shape, max(looks.channels)) for _ in range(1 if batch is None else batch)
    ]
    pixels = pictures[0] if batch is None else torch.stack(pictures)
    return with_layout(pixels, layout).as_subclass(tv_tensors.Image)


@st.composite
def _images(draw: st.DrawFn, looks: Looks, sizes: Sizes, batch: tuple[int, int] | None) -> tv_tensors.Image:
    count = None if batch is None else draw(st.integers(*batch))
    return draw_image(draw, looks, sizes.draw(draw), count)
