"""What is in a picture: few draws, from which all pixels follow."""

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st

from segaug.testing.strategies._bounds import SEEDS, chosen

__all__ = ["CONTENTS", "draw_colour", "draw_pixels", "fitting_contents"]

CONTENTS: tuple[str, ...] = ("flat", "sparse", "gradient", "stripes", "checker", "noise", "subnormal")
"""What :func:`images` puts into its pictures.

``"flat"``: one colour; ``"sparse"``: one colour with one to four pixels of another; ``"gradient"``: from one colour to
another; ``"stripes"`` and ``"checker"`` of two colours; ``"noise"``: values at random between two colours;
``"subnormal"``, in floats alone: 0, the smallest values that there are, a colour, and the value just below it. A quarter of
all values of colours are 0, and another the largest.
"""

# The extremes are listed many times: rounding and clamping go wrong there.
_LEVELS = st.sampled_from([0] * 120 + list(range(256)) + [255] * 120)
_VARIANTS = st.integers(0, 7)


@dataclass(frozen=True)
class _Drawn:
    ground: np.ndarray  # (C, 1, 1) in [0, 1]
    # Alone in flat pictures and in all others too, so that the shrinker gets from those to a flat one.
    figure: np.ndarray
    place: int
    variant: int
    seed: int


def fitting_contents(contents: tuple[str, ...], dtype: torch.dtype) -> tuple[str, ...]:
    """The contents that pictures of a dtype can have."""
    return tuple(content for content in contents if content != "subnormal" or dtype.is_floating_point)


def draw_colour(draw: st.DrawFn, channels: int, most: int) -> np.ndarray:
    """Draw a colour (C, 1, 1) in [0, 1]; shrinks to black.

    ``most`` values are drawn, and the last ones count: so a picture of fewer channels takes as many draws, and the shrinker
    can go to it.
    """
    return np.array([draw(_LEVELS) for _ in range(most)][-channels:]).reshape(-1, 1, 1) / 255


def draw_pixels(
    draw: st.DrawFn, contents: tuple[str, ...], dtype: torch.dtype, shape: tuple[int, int, int], most_channels: int
) -> torch.Tensor:
    """Draw a picture (C, H, W); shrinks to the first content, and to black."""
    channels, height, width = shape
    content = draw(chosen(contents))
    # All contents take the same draws, used or not: so the shrinker can go from one to another and keep the rest.
    drawn = _Drawn(
        ground=draw_colour(draw, channels, most_channels),
        figure=draw_colour(draw, channels, most_channels),
        place=draw(SEEDS) % (height * width),
        variant=draw(_VARIANTS),
        seed=draw(SEEDS),
    )
    if content == "subnormal":
        return _subnormal(dtype, shape, drawn)
    unit = np.broadcast_to(_MAKE[content](shape, drawn), shape)
    if dtype == torch.uint8:
        return torch.from_numpy(np.rint(unit * 255).astype(np.uint8))
    return torch.tensor(unit, dtype=dtype)


def _flat(shape: tuple[int, int, int], drawn: _Drawn) -> np.ndarray:
    return drawn.figure


def _sparse(shape: tuple[int, int, int], drawn: _Drawn) -> np.ndarray:
    pixels = np.repeat(drawn.ground.reshape(-1, 1), shape[1] * shape[2], axis=1)
    others = np.random.default_rng(drawn.seed).integers(pixels.shape[1], size=drawn.variant % 4)
    pixels[:, [drawn.place, *others]] = drawn.figure.reshape(-1, 1)
    return pixels.reshape(shape)


def _gradient(shape: tuple[int, int, int], drawn: _Drawn) -> np.ndarray:
    ramp = _diagonals(shape, drawn.variant)
    return _between(drawn, ramp / max(int(ramp.max()), 1))


def _stripes(shape: tuple[int, int, int], drawn: _Drawn) -> np.ndarray:
    return _between(drawn, _diagonals(shape, drawn.variant) // (drawn.seed % 4 + 1) % 2)


def _checker(shape: tuple[int, int, int], drawn: _Drawn) -> np.ndarray:
    step = drawn.variant % 4 + 1
    return _between(drawn, (np.arange(shape[1])[:, None] // step + np.arange(shape[2]) // step) % 2)


def _noise(shape: tuple[int, int, int], drawn: _Drawn) -> np.ndarray:
    return _between(drawn, np.random.default_rng(drawn.seed).random(shape))


def _between(drawn: _Drawn, share: np.ndarray) -> np.ndarray:
    # This form, unlike ground + share * (figure - ground), ends in the figure itself and never leaves [0, 1].
    return drawn.ground * (1 - share) + drawn.figure * share


def _subnormal(dtype: torch.dtype, shape: tuple[int, int, int], drawn: _Drawn) -> torch.Tensor:
    info = torch.finfo(dtype)
    smallest = info.smallest_normal
    picks = torch.from_numpy(np.random.default_rng(drawn.seed).integers(7, size=shape).reshape(shape[0], -1))
    values = [
        [0.0, smallest * info.eps, smallest / 2, smallest, info.eps, level, level * (1 - info.eps / 2)]
        for level in drawn.figure.ravel().tolist()
    ]
    return torch.tensor(values, dtype=dtype).gather(1, picks).reshape(shape)


def _diagonals(shape: tuple[int, int, int], variant: int) -> np.ndarray:
    """Numbers from 0 on that rise with x, with y, or with both."""
    rows, columns = np.arange(shape[1])[:, None], np.arange(shape[2])
    return (rows * 0 + columns, rows + columns * 0, rows + columns)[variant % 3]


_MAKE = {
    "flat": _flat,
    "sparse": _sparse,
    "gradient": _gradient,
    "stripes": _stripes,
    "checker": _checker,
    "noise": _noise,
}
