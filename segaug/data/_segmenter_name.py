"""Segmenters by name, as on a command line."""

import inspect
import re
from typing import Any

from segaug._checks import describe
from segaug.data._options import read_value
from segaug.segmenters import SLIC, Felzenszwalb, Grid, SegmentAnything, Segmenter, Voronoi, Watershed

__all__ = ["SEGMENTERS", "parse_segmenter"]

SEGMENTERS: dict[str, type[Segmenter]] = {
    "felzenszwalb": Felzenszwalb,
    "grid": Grid,
    "sam": SegmentAnything,
    "slic": SLIC,
    "voronoi": Voronoi,
    "watershed": Watershed,
}
# Where a constructor has no default, or one that is meant for larger pictures than training uses.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "felzenszwalb": {"scale": 60, "min_size": 25},
    "grid": {"rows": 9, "cols": 9},
    "voronoi": {"n": 100},
}


# A plus between two segmenters, and not one in a number or a path.
_BETWEEN = re.compile(rf"\s*\+\s*(?=(?:{'|'.join(SEGMENTERS)})(?:[:+\s]|$))")


def parse_segmenter(text: str) -> Segmenter | tuple[Segmenter, ...]:
    """Make a segmenter from ``NAME`` or ``NAME:OPTION=VALUE,OPTION=VALUE``, or several with ``+`` between.

    Options that are left out have the constructor's defaults, except for ``felzenszwalb`` (scale=60, min_size=25: about
    a hundred segments at 144 x 144), ``grid`` (rows=9, cols=9) and ``voronoi`` (n=100).

    Args:
        text: A name (felzenszwalb, grid, sam, slic, voronoi or watershed) and options of that segmenter's constructor;
            or several of these with ``+`` between.

    Returns:
        The segmenter, or a tuple of them for :class:`~segaug.data.TokenDataset`.

    Raises:
        TypeError: If an option is unknown to the segmenter, missing, or of the wrong type.
        ValueError: If there is no segmenter of that name, or an option is malformed or out of range.

    Example:
        >>> parse_segmenter("felzenszwalb:scale=100")
        Felzenszwalb(scale=100, sigma=0.8, min_size=25)
        >>> parse_segmenter("grid:rows=8,cols=8+grid:rows=2,cols=2")
        (Grid(rows=8, cols=8), Grid(rows=2, cols=2))
    """
    parts = tuple(_parse_one(part) for part in _BETWEEN.split(text))
    return parts[0] if len(parts) == 1 else parts


def _parse_one(text: str) -> Segmenter:
    name, _, rest = text.partition(":")
    if name not in SEGMENTERS:
        raise ValueError(f"segmenter must be one of {', '.join(sorted(SEGMENTERS))}, got {name!r}")
    kind = SEGMENTERS[name]
    options = dict(_DEFAULTS.get(name, {}))
    for part in filter(None, rest.split(",")):
        option, equals, value = part.partition("=")
        if not equals or not option.strip():
            raise ValueError(f"segmenter options must be OPTION=VALUE with commas between, got {part!r} in {text!r}")
        options[option.strip()] = read_value(value.strip())
    parameters = inspect.signature(kind).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        for option in options:
            if option not in parameters:
                raise TypeError(f"{name} has the options {', '.join(parameters)}, got {describe(option)}")
    missing = [
        option
        for option, parameter in parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind is not parameter.VAR_KEYWORD
        and option not in options
    ]
    if missing:
        raise TypeError(f"{name} needs {', '.join(missing)}, as in {name}:{missing[0]}=...")
    return kind(**options)
