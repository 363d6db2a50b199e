"""Read from a transform's output where its pixels come from: pictures whose grey is a coordinate."""

import math
from dataclasses import dataclass
from typing import Any

import torch

from segaug.testing._augmentation import Augmentation
from segaug.testing._compare import check_equal, named_leaves, plain
from segaug.testing._errors import NotApplicable, PropertyFailed
from segaug.testing.properties._pictures import picture_name, prepared, with_picture

__all__ = ["Movement", "trace"]

# The greys that are used, of 255. No fill is halfway between them, and black, white and overshoot lie outside.
_LOW, _HIGH = 37, 226
# How far a mean of neighbours may spread: half a pixel squared is bilinear interpolation in both directions.
_SPREAD = 0.5


@dataclass(frozen=True)
class Movement:
    """Where the pixels of an output come from.

    Args:
        x: (I, H', W') float64, the column of each pixel's source, for each of I pictures (tokens; else 1).
        y: The same for rows.
        valid: (I, H', W') bool; False for fill, for what is mixed from pixels that are far apart, and for other colours.
        size: (H, W) of the source.
        step: Pixels of the source between two neighbours of the output; at least 1.
        resolution: Pixels; how well ``x`` and ``y`` are known.
        blur: Pixels; how far apart the parts of a mix may be that is taken for one pixel.
        exact: (I,) bool; whether the pixels of a picture are moved one by one and remain neighbours, as by flips, crops,
            pads and quarter turns.
        given: The sample that was transformed, except for the picture.
        output: The transformed sample.
    """

    x: torch.Tensor
    y: torch.Tensor
    valid: torch.Tensor
    size: tuple[int, int]
    step: float
    resolution: float
    blur: float
    exact: torch.Tensor
    given: Any
    output: Any


def trace(augmentation: Augmentation, sample: Any, seed: int) -> Movement:
    """Follow the pixels through a transform.

    It is called under one seed for four grey pictures in place of the sample's: of the column, of the same from right to
    left, of the row, and of the squared distance to the centre. Of two pictures that add up to one grey, fill and new colours
    do not; and a mean of pixels that are far apart has another squared distance than its place.

    The sample's labels are made distinct, and its key points include the corners and two points inside.

    Raises:
        NotApplicable: If no pixel can be followed, or the calls do not move alike.
    """
    given = prepared(sample)
    name = picture_name(given)
    picture = plain(named_leaves(given)[name])
    height, width = picture.shape[-2:]
    codes = _Codes.of(height, width, picture.dtype)
    outputs = [augmentation.seeded(with_picture(given, plane), seed) for plane in codes.planes()]
    others = tuple(leaf for leaf in named_leaves(given) if leaf != name)
    try:
        for output in outputs[1:]:
            check_equal(outputs[0], output, "two calls", only=others)
            _check_size(outputs[0], output, name)
    except PropertyFailed as error:
        raise NotApplicable("two calls under one seed, with other colours, do not move alike") from error
    greys = [_grey(plain(named_leaves(output)[name])) for output in outputs]
    found = codes.decode([grey for grey, _ in greys])
    known = found.valid & torch.stack([is_grey for _, is_grey in greys]).all(0)
    step = _step(found.x, found.y, known, (height, width))
    known &= found.spread.abs() <= _SPREAD * step**2 + codes.spread_resolution
    if not known.any():
        raise NotApplicable("the colours of no pixel tell where it comes from")
    return Movement(
        found.x,
        found.y,
        known,
        (height, width),
        step,
        codes.resolution,
        math.sqrt(codes.spread_resolution),
        _exact(found.x, found.y, known, (height, width), codes.resolution),
        given,
        outputs[0],
    )


@dataclass(frozen=True)
class _Found:
    x: torch.Tensor
    y: torch.Tensor
    spread: torch.Tensor
    valid: torch.Tensor


@dataclass(frozen=True)
class _Codes:
    """Greys for the coordinates of a picture of one size and dtype; all as shares of 1."""

    size: tuple[int, int]
    dtype: torch.dtype
    # Grey per pixel, and per squared pixel.
    slopes: tuple[float, float, float]
    resolution: float
    spread_resolution: float

    @classmethod
    def of(cls, height: int, width: int, dtype: torch.dtype) -> "_Codes":
        room = (_HIGH - _LOW) / 255
        reach = math.hypot((width - 1) / 2, (height - 1) / 2)
        along_x, along_y = room / max(1, width - 1), room / max(1, height - 1)
        if dtype == torch.uint8:
            # Whole levels per pixel, so that a pixel that is moved as it is decodes exactly.
            along_x, along_y = (math.floor(slope * 255 + 1e-9) / 255 for slope in (along_x, along_y))
            if min(along_x, along_y) == 0:
                raise NotApplicable(f"uint8 has too few levels for the coordinates of {height}x{width} pixels")
            noise = 1 / 255
        else:
            noise = 16 * torch.finfo(dtype).eps
        square = room / max(reach**2, 1.0)
        resolution = max(1e-3, noise / min(along_x, along_y))
        return cls(
            (height, width),
            dtype,
            (along_x, along_y, square),
            resolution,
            1.5 * noise / square + 3 * reach * resolution + 1e-3,
        )

    def planes(self) -> list[torch.Tensor]:
        """The four pictures, (H, W)."""
        height, width = self.size
        y, x = torch.meshgrid(
            torch.arange(height, dtype=torch.float64), torch.arange(width, dtype=torch.float64), indexing="ij"
        )
        low, high = _LOW / 255, _HIGH / 255
        column, row = low + self.slopes[0] * x, low + self.slopes[1] * y
        distance = low + self.slopes[2] * self._squared(x, y)
        greys = (column, low + high - column, row, distance)
        if self.dtype == torch.uint8:
            return [(grey * 255).round().to(torch.uint8) for grey in greys]
        return [grey.to(self.dtype) for grey in greys]

    def decode(self, greys: list[torch.Tensor]) -> _Found:
        """Read the coordinates from the transformed pictures."""
        column, mirrored, row, distance = greys
        low, high = _LOW / 255, _HIGH / 255
        x, y = (column - low) / self.slopes[0], (row - low) / self.slopes[1]
        spread = (distance - low) / self.slopes[2] - self._squared(x, y)
        noise = 1.01 / 255 if self.dtype == torch.uint8 else max(1e-4, 16 * torch.finfo(self.dtype).eps)
        height, width = self.size
        inside = (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)
        return _Found(x, y, spread, inside & ((column + mirrored - low - high).abs() <= noise))

    def _squared(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        height, width = self.size
        return (x - (width - 1) / 2) ** 2 + (y - (height - 1) / 2) ** 2


def _check_size(one: Any, other: Any, name: str) -> None:
    if named_leaves(one)[name].shape != named_leaves(other)[name].shape:
        raise PropertyFailed("two calls return pictures of two sizes")


def _grey(picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(..., C, H, W) to (I, H, W) shares of 1, and where all channels are alike."""
    values = picture.double() / (1 if picture.is_floating_point() else 255)
    values = values.reshape(-1, *values.shape[-3:])
    tolerance = 1e-4 if picture.is_floating_point() else 1.01 / 255
    return values[:, 0], (values - values[:, :1]).abs().amax(1) <= tolerance


def _differences(values: torch.Tensor, valid: torch.Tensor, axis: int) -> tuple[torch.Tensor, torch.Tensor]:
    return values.diff(dim=axis), valid.narrow(axis, 1, max(0, valid.shape[axis] - 1)) & valid.narrow(
        axis, 0, max(0, valid.shape[axis] - 1)
    )


def _step(x: torch.Tensor, y: torch.Tensor, valid: torch.Tensor, size: tuple[int, int]) -> float:
    steps = [1.0]
    for axis in (-1, -2):
        along_x, both = _differences(x, valid, axis)
        along_y, _ = _differences(y, valid, axis)
        length = torch.maximum(along_x.abs(), along_y.abs())[both]
        # Between single pixels lies what is not known.
        steps.append(float(length.median()) if length.numel() else float(max(size)))
    return max(steps)


def _exact(
    x: torch.Tensor, y: torch.Tensor, valid: torch.Tensor, size: tuple[int, int], resolution: float
) -> torch.Tensor:
    tolerance = min(0.2, max(2e-3, resolution))
    return torch.stack([_is_exact(*parts, size, tolerance) for parts in zip(x, y, valid, strict=True)])


def _is_exact(
    x: torch.Tensor, y: torch.Tensor, valid: torch.Tensor, size: tuple[int, int], tolerance: float
) -> torch.Tensor:
    none = torch.tensor(False)
    if not valid.any():
        return none
    if max(float((value - value.round()).abs()[valid].max()) for value in (x, y)) > tolerance:
        return none
    directions: list[tuple[int, int] | None] = []
    for axis in (-1, -2):
        along_x, both = _differences(x.round(), valid, axis)
        along_y, _ = _differences(y.round(), valid, axis)
        found = {(int(a), int(b)) for a, b in zip(along_x[both].tolist(), along_y[both].tolist(), strict=True)}
        if len(found) > 1 or any(abs(a) + abs(b) != 1 for a, b in found):
            return none
        directions.append(next(iter(found), None))
    one, other = directions
    if one and other:
        return torch.tensor(one[0] * other[0] + one[1] * other[1] == 0)
    # A single line tells nothing of the direction across it, unless the source is a single line too.
    known = one or other
    across = min(size) if known is None else size[0] if known[0] else size[1]
    return torch.tensor(across == 1 if known else max(size) == 1)
