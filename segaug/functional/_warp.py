"""Warps on patches: rotations, affine maps, perspectives and displacements, every segment its own, in one sampling."""

from collections.abc import Sequence

import torch

from segaug._checks import describe
from segaug.functional._grid import affine_grid, grid_dtype, identity_grid, perspective_grid, sample

__all__ = ["affine", "elastic", "perspective", "rotate"]


def affine(
    pixels: torch.Tensor,
    angle: torch.Tensor,
    translate: torch.Tensor,
    scale: torch.Tensor,
    shear: torch.Tensor,
    *,
    interpolation: str = "nearest",
    center: torch.Tensor | Sequence[float] | None = None,
    fill_mask: bool = False,
) -> torch.Tensor:
    """Rotate, move, scale and shear each segment by its own parameters, as torchvision's ``affine`` does one image.

    Args:
        pixels: (..., C, H, W) patches, uint8 or float. What comes in from outside is 0.
        angle: (...,) degrees, clockwise.
        translate: (..., 2) pixels to the right and down.
        scale: (...,) factors above 0.
        shear: (..., 2) degrees along x and y.
        interpolation: ``"nearest"`` or ``"bilinear"``.
        center: (2,) or (..., 2): x and y of the fixed point in pixels from the upper left corner; the middle if None.
        fill_mask: With ``"bilinear"``, multiply by the share that came from inside once more, which darkens the border. So
            does torchvision with any ``fill``, 0 too, and not with ``fill=None``.

    Returns:
        A tensor of the same shape and dtype.

    Raises:
        ValueError: If a parameter has another shape, ``scale`` is not above 0, or ``interpolation`` is another.

    Example:
        >>> one, zero = torch.ones(1), torch.zeros(1)
        >>> moved = affine(torch.tensor([[[[1, 2, 3]]]]).byte(), zero, torch.tensor([[1, 0]]), one, torch.zeros(1, 2))
        >>> moved.flatten().tolist()
        [0, 1, 2]
    """
    leading = pixels.shape[:-3]
    for name, value, shape in (
        ("angle", angle, leading),
        ("translate", translate, (*leading, 2)),
        ("scale", scale, leading),
        ("shear", shear, (*leading, 2)),
    ):
        _check_shape(name, value, shape)
    if scale.numel() and not float(scale.min()) > 0.0:
        raise ValueError(f"scale must be above 0, got {float(scale.min()):g}")
    return _affine(pixels, angle, translate, scale, shear, interpolation, center, fill_mask)


def rotate(
    pixels: torch.Tensor,
    angle: torch.Tensor,
    *,
    interpolation: str = "nearest",
    center: torch.Tensor | Sequence[float] | None = None,
    fill_mask: bool = False,
) -> torch.Tensor:
    """Rotate each segment by its own angle within its frame, as torchvision's ``rotate`` does one image.

    Args:
        pixels: (..., C, H, W) patches, uint8 or float. What comes in from outside is 0.
        angle: (...,) degrees, counter-clockwise.
        interpolation: ``"nearest"`` or ``"bilinear"``.
        center: (2,) or (..., 2): x and y of the fixed point in pixels from the upper left corner; the middle if None.
        fill_mask: As for :func:`affine`.

    Returns:
        A tensor of the same shape and dtype.

    Raises:
        ValueError: If ``angle`` or ``center`` has another shape, or ``interpolation`` is another.

    Example:
        >>> rotate(torch.tensor([[[[1, 2], [3, 4]]]]).byte(), torch.tensor([90.0])).flatten().tolist()
        [2, 4, 1, 3]
    """
    _check_shape("angle", angle, pixels.shape[:-3])
    # The two turn in opposite directions, there as here.
    clockwise = -angle.double().remainder(360.0)
    none = clockwise.new_zeros((*angle.shape, 2))
    return _affine(pixels, clockwise, none, torch.ones_like(clockwise), none, interpolation, center, fill_mask)


def perspective(
    pixels: torch.Tensor, coefficients: torch.Tensor, *, interpolation: str = "bilinear", fill_mask: bool = False
) -> torch.Tensor:
    """Change the perspective of each segment, as torchvision's ``perspective`` does for one image.

    Args:
        pixels: (..., C, H, W) patches, uint8 or float. What comes in from outside is 0.
        coefficients: (..., 8) floats a to h: the pixel at (x, y) comes from ((a x + b y + c) / (g x + h y + 1),
            (d x + e y + f) / (g x + h y + 1)).
        interpolation: ``"nearest"`` or ``"bilinear"``.
        fill_mask: As for :func:`affine`.

    Returns:
        A tensor of the same shape and dtype.

    Raises:
        ValueError: If ``coefficients`` has another shape, or ``interpolation`` is another.

    Example:
        >>> wider = torch.tensor([[0.5, 0, 0, 0, 1, 0, 0, 0]])
        >>> perspective(torch.tensor([[[[1, 2, 3, 4]]]]).byte(), wider, interpolation="nearest").flatten().tolist()
        [1, 1, 2, 2]
    """
    _check_shape("coefficients", coefficients, (*pixels.shape[:-3], 8))
    coefficients = coefficients.reshape(-1, 8).to(pixels.device, grid_dtype(pixels))
    grid = perspective_grid((pixels.shape[-2], pixels.shape[-1]), coefficients)
    return sample(pixels, grid, interpolation, fill_mask)


def elastic(
    pixels: torch.Tensor, displacement: torch.Tensor, *, interpolation: str = "bilinear", fill_mask: bool = False
) -> torch.Tensor:
    """Move every pixel of each segment by its own displacement, as torchvision's ``elastic`` does in one image.

    Args:
        pixels: (..., C, H, W) patches, uint8 or float. What comes in from outside is 0.
        displacement: (..., H, W, 2) floats: how far to the right and down a pixel comes from, in halves of the width and
            the height.
        interpolation: ``"nearest"`` or ``"bilinear"``.
        fill_mask: As for :func:`affine`.

    Returns:
        A tensor of the same shape and dtype.

    Raises:
        ValueError: If ``displacement`` has another shape, or ``interpolation`` is another.

    Example:
        >>> from_the_right = torch.tensor([2 / 3, 0]).expand(1, 1, 3, 2)
        >>> elastic(torch.tensor([[[[1, 2, 3]]]]).byte(), from_the_right).flatten().tolist()
        [2, 3, 0]
    """
    height, width = pixels.shape[-2:]
    _check_shape("displacement", displacement, (*pixels.shape[:-3], height, width, 2))
    dtype = grid_dtype(pixels)
    moved = displacement.reshape(-1, height, width, 2).to(pixels.device, dtype).movedim(-1, 0)
    return sample(pixels, identity_grid((height, width), pixels.device, dtype) + moved, interpolation, fill_mask)


def _affine(
    pixels: torch.Tensor,
    angle: torch.Tensor,
    translate: torch.Tensor,
    scale: torch.Tensor,
    shear: torch.Tensor,
    interpolation: str,
    center: torch.Tensor | Sequence[float] | None,
    fill_mask: bool,
) -> torch.Tensor:
    if center is not None:
        center = torch.as_tensor(center, dtype=torch.float64, device=angle.device)
        if center.shape != (2,):
            _check_shape("center", center, (*pixels.shape[:-3], 2))
        center = center.reshape(-1, 2)
    grid = affine_grid(
        (pixels.shape[-2], pixels.shape[-1]),
        angle.reshape(-1),
        translate.reshape(-1, 2),
        scale.reshape(-1),
        shear.reshape(-1, 2),
        center,
        pixels.device,
        grid_dtype(pixels),
    )
    return sample(pixels, grid, interpolation, fill_mask)


def _check_shape(name: str, value: torch.Tensor, shape: Sequence[int]) -> None:
    if not isinstance(value, torch.Tensor) or value.shape != tuple(shape):
        raise ValueError(f"{name} must be a tensor of shape {tuple(shape)}, got {describe(value)}")
