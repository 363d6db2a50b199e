"""Rotations, affine maps, perspectives and elastic displacements."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torchvision.transforms import InterpolationMode, v2

from segaug.functional import affine, elastic, perspective, rotate
from segaug.functional._grid import perspective_coefficients
from segaug.transforms._engine._lowering import Draw, Lowering, Params, register_lowering
from segaug.transforms._engine._lowerings._layers import on_layers
from segaug.transforms._random import bernoulli, integers, uniform

__all__ = ["WARP_MODES", "Warp"]

WARP_MODES = {
    mode: name for name, number in (("nearest", 0), ("bilinear", 2)) for mode in (name, number, InterpolationMode(name))
}
# Of a shear nearer to a right angle, the picture keeps only so much: ten times the box.
_STEEPEST = 10.0


class Warp(Lowering):
    """Resamples, nearest or bilinear."""

    @staticmethod
    def options(transform: Any) -> dict[str, Any]:
        """How to sample: what is filled in is no part of the segment, but torchvision blends towards it twice."""
        fill = transform.fill.get("others") if isinstance(transform.fill, dict) else transform.fill
        return {"interpolation": WARP_MODES[transform.interpolation], "fill_mask": fill is not None}


@register_lowering(v2.RandomRotation)
class _RandomRotation(Warp):
    def why_not(self, transform: Any) -> str | None:
        return "expand=True, which gives each its own size" if transform.expand else None

    def output_shape(self, transform: Any, channels: int, height: int, width: int) -> tuple[int, int, int] | None:
        return None if transform.expand else (channels, height, width)

    def reach(self, transform: Any, height: int, width: int) -> tuple[int, int]:
        return _reach(height, width, transform.degrees)

    def make_params(self, transform: Any, draw: Draw) -> Params:
        return {"angle": _uniform(transform.degrees, draw)}

    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        def change(layers: torch.Tensor) -> torch.Tensor:
            return rotate(layers, params["angle"], center=transform.center, **self.options(transform))

        return on_layers(change, patches, alpha, interpolates=True)


@register_lowering(v2.RandomAffine)
class _RandomAffine(Warp):
    def reach(self, transform: Any, height: int, width: int) -> tuple[int, int]:
        scale = 1.0 if transform.scale is None else max(transform.scale)
        across, down = transform.translate or (0.0, 0.0)
        return _reach(
            height, width, transform.degrees, transform.shear or (), scale, round(across * width), round(down * height)
        )

    def make_params(self, transform: Any, draw: Draw) -> Params:
        params = {
            "angle": _uniform(transform.degrees, draw),
            "translate": torch.zeros((draw.count, 2), dtype=torch.int64),
            "scale": torch.ones(draw.count),
            "shear": torch.zeros((draw.count, 2)),
        }
        if transform.translate is not None:
            limits = (float(transform.translate[0] * draw.width), float(transform.translate[1] * draw.height))
            drawn = [_uniform((-limit, limit), draw).round().long() for limit in limits]
            params["translate"] = torch.stack(drawn, -1)
        if transform.scale is not None:
            params["scale"] = _uniform(transform.scale, draw)
        if transform.shear is not None:
            both = (transform.shear[:2], transform.shear[2:] or (0.0, 0.0))
            params["shear"] = torch.stack([_uniform(bounds, draw) for bounds in both], -1)
        return params

    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        def change(layers: torch.Tensor) -> torch.Tensor:
            return affine(layers, **params, center=transform.center, **self.options(transform))

        return on_layers(change, patches, alpha, interpolates=True)


@register_lowering(v2.RandomPerspective)
class _RandomPerspective(Warp):
    def make_params(self, transform: Any, draw: Draw) -> Params:
        gate = bernoulli(transform.p, (draw.count,), draw.generator)
        far = (draw.width - 1, draw.height - 1)
        # By how much a corner may move inwards: not at all in a patch of one pixel.
        bounds = [int(transform.distortion_scale * (side // 2)) + 1 for side in (draw.width, draw.height)]
        inwards = torch.stack([integers(bound, (draw.count, 4), draw.generator) for bound in bounds], -1)
        start = torch.tensor([[0, 0], [far[0], 0], [far[0], far[1]], [0, far[1]]], device=inwards.device)
        sign = torch.tensor([[1, 1], [-1, 1], [-1, -1], [1, -1]], device=inwards.device)
        end = start + sign * inwards
        return {"gate": gate, "coefficients": perspective_coefficients(start.expand_as(end), end)}

    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = params["gate"].nonzero().squeeze(1)

        def change(layers: torch.Tensor) -> torch.Tensor:
            return perspective(layers, params["coefficients"][chosen], **self.options(transform))

        new_patches, new_alpha = on_layers(change, patches[chosen], alpha[chosen], interpolates=True)
        return patches.index_copy(0, chosen, new_patches), alpha.index_copy(0, chosen, new_alpha)


@register_lowering(v2.ElasticTransform)
class _ElasticTransform(Warp):
    def why_not(self, transform: Any) -> str | None:
        if min(transform.sigma) <= 0.0 < max(transform.sigma):
            return f"sigma={transform.sigma} (batched: both above 0, or none)"
        mode = transform.interpolation
        return None if mode in WARP_MODES else f"interpolation={mode} (batched: nearest, bilinear)"

    def make_params(self, transform: Any, draw: Draw) -> Params:
        sides = (draw.width, draw.height)
        moves = []
        for axis, side in enumerate(sides):
            noise = uniform(-1.0, 1.0, (draw.count, draw.height, draw.width), draw.generator)
            if transform.sigma[axis] > 0.0:
                # torchvision's kernel for this axis' displacement: an odd size, the same along both axes.
                radius = int(8 * transform.sigma[axis] + 1) // 2
                along_x, along_y = (
                    _blur_matrix(n, radius, sigma).to(noise.device)
                    for n, sigma in zip(sides, transform.sigma, strict=True)
                )
                noise = along_y @ (noise @ along_x.T)
            moves.append(noise * (transform.alpha[axis] / side))
        return {"displacement": torch.stack(moves, -1)}

    def apply(
        self, transform: Any, patches: torch.Tensor, alpha: torch.Tensor, params: Params
    ) -> tuple[torch.Tensor, torch.Tensor]:
        def change(layers: torch.Tensor) -> torch.Tensor:
            return elastic(layers, params["displacement"], **self.options(transform))

        return on_layers(change, patches, alpha, interpolates=True)


def _uniform(bounds: Sequence[float], draw: Draw) -> torch.Tensor:
    low, high = bounds
    return uniform(low, high, (draw.count,), draw.generator)


@lru_cache(maxsize=64)
def _blur_matrix(side: int, radius: int, sigma: float) -> torch.Tensor:
    """A Gaussian blur of ``side`` values, mirrored beyond both ends, as a matrix."""
    offset = torch.arange(-radius, radius + 1)
    weights = (-0.5 * (offset / sigma).square()).softmax(0)
    # Mirrored as often as it takes: a kernel may be wider than a patch, which torchvision refuses.
    period = max(2 * (side - 1), 1)
    pixel = (torch.arange(side)[:, None] + offset).remainder(period)
    pixel = torch.minimum(pixel, period - pixel).clamp(max=side - 1)
    return torch.zeros(side, side).scatter_add_(1, pixel, weights.expand(side, -1))


def _reach(
    height: int,
    width: int,
    degrees: Sequence[float],
    shear: Sequence[float] = (),
    scale: float = 1.0,
    across: int = 0,
    down: int = 0,
) -> tuple[int, int]:
    """How far beyond a box its pixels can come: the shears, then the rotation, and the way it moves."""
    # From the middle to where bilinear sampling sees nothing of the box any more.
    x, y = (width + 1) / 2, (height + 1) / 2
    x += _steepest(shear[:2]) * y
    y += _steepest(shear[2:]) * x
    rows = scale * _farthest(y, x, degrees) + down - (height + 1) / 2
    columns = scale * _farthest(x, y, degrees) + across - (width + 1) / 2
    return max(math.ceil(rows - 1e-6), 0), max(math.ceil(columns - 1e-6), 0)


def _steepest(degrees: Sequence[float]) -> float:
    """The largest tangent, up or down, of the angles in a range."""
    if not degrees:
        return 0.0
    low, high = degrees
    right_angle = math.ceil((low - 90.0) / 180.0) * 180.0 + 90.0
    if right_angle <= high:
        return _STEEPEST
    return min(max(abs(math.tan(math.radians(angle))) for angle in degrees), _STEEPEST)


def _farthest(along: float, across: float, degrees: Sequence[float]) -> float:
    """How far a rectangle of these half sides reaches along the first, turned by any angle in a range."""
    low, high = degrees
    diagonal = math.degrees(math.atan2(across, along))
    if any(angle + math.ceil((low - angle) / 180.0) * 180.0 <= high for angle in (diagonal, -diagonal)):
        return math.hypot(along, across)
    return max(
        along * abs(math.cos(math.radians(angle))) + across * abs(math.sin(math.radians(angle))) for angle in degrees
    )
