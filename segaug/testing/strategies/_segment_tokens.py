"""segment_tokens: tokens as Tokenize gives them, made without an image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st

from segaug._checks import SUPPORTED_CHANNELS, check_flag
from segaug.structures import SegmentTokens, collate
from segaug.testing.strategies._bounds import (
    SEEDS,
    check_channels,
    check_counts,
    check_dtypes,
    check_range,
    chosen,
    draw_span,
)
from segaug.testing.strategies._contents import draw_colour

__all__ = ["segment_tokens"]

_COVERAGES = ("full", "half", "pixel", "disc", "soft")
_CANVAS_SIDES = st.integers(1, 64)


@dataclass(frozen=True)
class _Bounds:
    dtypes: tuple[torch.dtype, ...]
    channels: tuple[int, ...]
    patch_size: tuple[int, int]
    segments: tuple[int, int]
    background: tuple[bool, ...]
    padding: tuple[int, int]
    batch: tuple[int, int] | None


@dataclass(frozen=True)
class _Token:
    """One token, in numbers from 0 to 1."""

    patch: np.ndarray  # (C, P, P)
    alpha: np.ndarray  # (P, P)
    box: tuple[float, float, float, float]
    area: float
    label: int


def segment_tokens(
    *,
    dtypes: torch.dtype | Sequence[torch.dtype] = (torch.uint8, torch.float32),
    channels: int | Sequence[int] = SUPPORTED_CHANNELS,
    patch_size: int | tuple[int, int] = (1, 8),
    min_segments: int = 0,
    max_segments: int = 6,
    background: bool | None = None,
    padding: int | tuple[int, int] = (0, 3),
    batch: int | tuple[int, int] | None = None,
) -> st.SearchStrategy[SegmentTokens]:
    """Draw the tokens of an image, or of a batch of them.

    They keep every promise of :class:`~segaug.SegmentTokens`: foreground by ascending label (some with gaps), then the
    background token, then padding; patches premultiplied by coverage, which is full, a half, a pixel, a disc or soft;
    areas at most those of their boxes. Segments may overlap, as masks do. In a batch, images have different numbers of
    tokens, and padding fills them up.

    Shrinks to the first dtype and number of channels, small black patches with full coverage, few segments of one pixel, no
    background token (where both are allowed), no padding, and few images.

    Args:
        dtypes: One or several of ``torch.uint8`` and the floating-point dtypes.
        channels: 1, 3 or both.
        patch_size: P, the side of a patch in pixels, or (min, max).
        min_segments: The least number of foreground tokens of an image.
        max_segments: The largest number of them.
        background: Whether there is a background token; None for either.
        padding: How many slots of padding the tokens of a single image end in, or (min, max).
        batch: None for the tokens (N, ...) of one image; a number, or (min, max), of images for (B, N, ...).

    Returns:
        A strategy of :class:`~segaug.SegmentTokens`.

    Raises:
        TypeError: If a bound is no int, or ``background`` is not a bool or None.
        ValueError: If a bound is too small, a maximum below its minimum, or a dtype or number of channels unknown.

    Example:
        >>> from hypothesis import find
        >>> tokens = find(segment_tokens(batch=2), lambda tokens: tokens.is_padding.any())
        >>> sorted(tokens.labels.flatten().tolist()), tokens.patches.shape
        ([-1, 1], torch.Size([2, 1, 1, 1, 1]))
    """
    bounds = _Bounds(
        check_dtypes(dtypes),
        check_channels(channels, SUPPORTED_CHANNELS),
        check_range("patch_size", patch_size, minimum=1),
        check_counts("segments", min_segments, max_segments),
        (False, True) if background is None else (check_flag("background", background),),
        check_range("padding", padding, minimum=0),
        None if batch is None else check_range("batch", batch, minimum=1),
    )
    return _segment_tokens(bounds)


@st.composite
def _segment_tokens(draw: st.DrawFn, bounds: _Bounds) -> SegmentTokens:
    dtype, channels = draw(chosen(bounds.dtypes)), draw(chosen(bounds.channels))
    side = draw(st.integers(*bounds.patch_size))
    background = draw(chosen(bounds.background))
    if bounds.batch is None:
        tokens = _draw_tokens(draw, bounds.segments, background, channels, side)
        return _pack(tokens, draw(st.integers(*bounds.padding)), dtype, channels, side)
    count = draw(st.integers(*bounds.batch))
    rows = [_draw_tokens(draw, bounds.segments, background, channels, side) for _ in range(count)]
    return collate([_pack(row, 0, dtype, channels, side) for row in rows])


def _draw_tokens(
    draw: st.DrawFn, segments: tuple[int, int], background: bool, channels: int, side: int
) -> list[_Token]:
    """The tokens of one image."""
    count = draw(st.integers(*segments))
    height, width = draw(_CANVAS_SIDES), draw(_CANVAS_SIDES)
    steps = np.ones(count, dtype=np.int64)
    if draw(st.booleans()):
        steps = np.random.default_rng(draw(SEEDS)).choice([1, 6, 293, 69_700], count)
    tokens = []
    for label in np.cumsum(steps):
        (x0, x1), (y0, y1) = draw_span(draw, width), draw_span(draw, height)
        patch, alpha = _draw_patch(draw, _COVERAGES, channels, side)
        in_box = (x1 - x0) * (y1 - y0)
        pixels = min(max(round(float(alpha.mean()) * in_box), 1), in_box)
        box = (x0 / width, y0 / height, x1 / width, y1 / height)
        tokens.append(_Token(patch, alpha, box, pixels / (height * width), int(label)))
    if background:
        # Next to nothing is left over, but for rounding, where the segments fill the canvas.
        left = 1.0 - sum(token.area for token in tokens)
        left = left if left > 1e-6 else 0.0
        patch, alpha = _draw_patch(draw, _COVERAGES if tokens else _COVERAGES[:1], channels, side)
        tokens.append(_Token(patch * (left > 0), alpha * (left > 0), (-1.0, -1.0, -1.0, -1.0), left, 0))
    return tokens


def _draw_patch(draw: st.DrawFn, coverages: tuple[str, ...], channels: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """A patch (C, P, P), premultiplied, and its coverage (P, P), which is never 0 throughout."""
    coverage, is_noise = draw(chosen(coverages)), draw(st.booleans())
    colour = draw_colour(draw, channels, max(SUPPORTED_CHANNELS))
    rng = np.random.default_rng(draw(SEEDS))
    straight = colour * rng.random((channels, side, side)) if is_noise else colour
    alpha = np.zeros((side, side))
    if coverage == "full":
        alpha[:] = 1.0
    elif coverage == "half":
        alpha[:, : (side + 1) // 2] = 1.0
    elif coverage == "disc":
        distance = (np.arange(side) - (side - 1) / 2) ** 2
        alpha[distance[:, None] + distance <= (side / 2) ** 2] = 1.0
    else:
        if coverage == "soft":
            # Cut on both sides, so that 0 and 1 occur beside what is between.
            alpha = np.clip(rng.random((side, side)) * 1.5 - 0.25, 0.0, 1.0)
        alpha.ravel()[rng.integers(alpha.size)] = 1.0
    return straight * alpha, alpha


def _pack(tokens: list[_Token], padding: int, dtype: torch.dtype, channels: int, side: int) -> SegmentTokens:
    """Put tokens behind each other, and padding behind them."""
    count = len(tokens) + padding
    patches, alpha = np.zeros((count, channels, side, side)), np.zeros((count, side, side))
    boxes, areas = np.zeros((count, 4), dtype=np.float32), np.zeros(count, dtype=np.float32)
    labels = np.full(count, -1, dtype=np.int64)
    for i, token in enumerate(tokens):
        patches[i], alpha[i], boxes[i] = token.patch, token.alpha, token.box
        areas[i], labels[i] = token.area, token.label
    return SegmentTokens(
        patches=_as_dtype(patches, dtype),
        alpha=_as_dtype(alpha, dtype),
        boxes=torch.from_numpy(boxes),
        areas=torch.from_numpy(areas),
        labels=torch.from_numpy(labels),
    )


def _as_dtype(unit: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
    if dtype == torch.uint8:
        return torch.from_numpy(np.rint(unit * 255).astype(np.uint8))
    return torch.from_numpy(unit).to(dtype)
