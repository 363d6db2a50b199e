"""Geometry kernels on patches: every segment its own parameters, all segments at once."""

import torch

from segaug._checks import describe
from segaug.functional._resample import fixed_point_resize, resize_weights

__all__ = ["horizontal_flip", "resized_crop", "vertical_flip"]


def horizontal_flip(pixels: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
    """Mirror the chosen segments left to right.

    Args:
        pixels: (..., C, H, W) patches, or coverage with C = 1.
        which: (...,) bool, one per segment.

    Returns:
        A tensor of the same shape and dtype.

    Raises:
        ValueError: If ``which`` has another shape.

    Example:
        >>> horizontal_flip(torch.tensor([[[[1, 2]]], [[[3, 4]]]]), torch.tensor([True, False])).flatten().tolist()
        [2, 1, 3, 4]
    """
    return torch.where(_spread("which", which, pixels), pixels.flip(-1), pixels)


def vertical_flip(pixels: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
    """Mirror the chosen segments top to bottom.

    Args:
        pixels: (..., C, H, W) patches, or coverage with C = 1.
        which: (...,) bool, one per segment.

    Returns:
        A tensor of the same shape and dtype.

    Raises:
        ValueError: If ``which`` has another shape.

    Example:
        >>> vertical_flip(torch.tensor([[[[1], [2]]]]), torch.tensor([True])).flatten().tolist()
        [2, 1]
    """
    return torch.where(_spread("which", which, pixels), pixels.flip(-2), pixels)


def resized_crop(
    pixels: torch.Tensor,
    top: torch.Tensor,
    left: torch.Tensor,
    height: torch.Tensor,
    width: torch.Tensor,
    size: tuple[int, int],
) -> torch.Tensor:
    """Crop each segment's patch by its own window and resize all to one size, antialiased bilinear.

    Args:
        pixels: (..., C, H, W), uint8, or float in [0, 1].
        top: (...,) int64: first row of each window.
        left: (...,) int64: first column of each window.
        height: (...,) int64: rows of each window, at least 1.
        width: (...,) int64: columns of each window, at least 1.
        size: Rows and columns of the result.

    Returns:
        (..., C, *size) in the same dtype.

    Raises:
        ValueError: If a window is not inside the patch, or the shapes do not fit together.

    Example:
        >>> pixels = torch.tensor([[[[10.0, 20.0], [30.0, 40.0]]]]) / 255
        >>> one = torch.ones(1, dtype=torch.int64)
        >>> (resized_crop(pixels, one, one, one, one, (1, 1)) * 255).round().item()
        40.0
    """
    leading, (channels, rows, columns) = pixels.shape[:-3], pixels.shape[-3:]
    for name, value in (("top", top), ("left", left), ("height", height), ("width", width)):
        if value.shape != leading:
            raise ValueError(f"{name} must have shape {tuple(leading)}, got {describe(value)}")
    top, left, height, width = (value.reshape(-1) for value in (top, left, height, width))
    for names, start, length, limit in (
        ("top and height", top, height, rows),
        ("left and width", left, width, columns),
    ):
        if len(start) and (int(start.min()) < 0 or int(length.min()) < 1 or int((start + length).max()) > limit):
            raise ValueError(f"{names} must give windows of at least one pixel inside patches of {rows} x {columns}")
    levels = pixels.dtype == torch.uint8
    work = torch.float64 if levels or pixels.dtype == torch.float64 else torch.float32
    count = len(top)
    down = resize_weights(top, height, rows, size[0], work).to(pixels.device)
    across = resize_weights(left, width, columns, size[1], work).to(pixels.device)
    lines = pixels.reshape(count, channels * rows, columns).to(work)
    lines = fixed_point_resize(lines, across) if levels else torch.bmm(lines, across.transpose(1, 2))
    # Rows last for the second pass, and back.
    lines = lines.view(count, channels, rows, size[1]).transpose(2, 3).reshape(count, channels * size[1], rows)
    out = fixed_point_resize(lines, down) if levels else torch.bmm(lines, down.transpose(1, 2))
    out = out.view(count, channels, size[1], size[0]).transpose(2, 3)
    return out.to(pixels.dtype).contiguous().view(*leading, channels, *size)


def _spread(name: str, which: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    if which.dtype != torch.bool or which.shape != pixels.shape[:-3]:
        raise ValueError(f"{name} must be bool of shape {tuple(pixels.shape[:-3])}, got {describe(which)}")
    return which.to(pixels.device)[..., None, None, None]
