"""Geometry kernels on patches: every segment its own parameters, all segments at once."""

from functools import lru_cache

import torch

from segaug._checks import check_int, describe
from segaug.functional._resample import fixed_point_resize, resize_weights, to_fixed_point

__all__ = ["crop", "horizontal_flip", "resized_crop", "vertical_flip"]

# The weights of all windows of a patch up to this side are kept: at most 9 MiB for patches resized to 32.
_LARGEST_IN_BANK = 32


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
    return _flip(pixels, which, -1)


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
    return _flip(pixels, which, -2)


def crop(pixels: torch.Tensor, top: torch.Tensor, left: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Crop each segment's patch by its own window, all windows of one size.

    Args:
        pixels: (..., C, H, W), any dtype.
        top: (...,) int64: first row of each window.
        left: (...,) int64: first column of each window.
        size: Rows and columns of the windows.

    Returns:
        (..., C, *size) in the same dtype.

    Raises:
        TypeError: If ``top`` or ``left`` holds no integers, or ``size`` does not.
        ValueError: If a window is not inside the patch, or the shapes do not fit together.

    Example:
        >>> pixels = torch.tensor([[[[1, 2, 3]]], [[[4, 5, 6]]]])
        >>> crop(pixels, torch.tensor([0, 0]), torch.tensor([0, 1]), (1, 2)).flatten().tolist()
        [1, 2, 5, 6]
    """
    leading, (rows, columns) = pixels.shape[:-3], pixels.shape[-2:]
    height, width = (check_int("size", side, minimum=1) for side in size)
    _check_integers(leading, top=top, left=left)
    _check_windows("top", top, height, rows, rows, columns)
    _check_windows("left", left, width, columns, rows, columns)
    # Every window that there is, as a view; one is picked per segment.
    windows = pixels.reshape(-1, *pixels.shape[-3:]).unfold(2, height, 1).unfold(3, width, 1)
    segment = torch.arange(len(windows), device=pixels.device)
    picked = windows[segment, :, top.reshape(-1).to(pixels.device), left.reshape(-1).to(pixels.device)]
    return picked.reshape(*leading, pixels.shape[-3], height, width)


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
    _check_integers(leading, top=top, left=left, height=height, width=width)
    for side in size:
        check_int("size", side, minimum=1)
    top, left, height, width = (value.reshape(-1) for value in (top, left, height, width))
    _check_windows("top and height", top, height, rows, rows, columns)
    _check_windows("left and width", left, width, columns, rows, columns)
    count, levels = len(top), pixels.dtype == torch.uint8
    resize = _resize_levels if levels else _resize_floats
    lines = pixels.reshape(count, channels * rows, columns)
    lines = resize(lines.float() if pixels.dtype != torch.float64 else lines, left, width, size[1])
    # Rows last for the second pass, and back.
    lines = lines.view(count, channels, rows, size[1]).transpose(2, 3).reshape(count, channels * size[1], rows)
    out = resize(lines, top, height, size[0]).view(count, channels, size[1], size[0]).transpose(2, 3)
    return out.to(pixels.dtype).contiguous().view(*leading, channels, *size)


def _resize_floats(lines: torch.Tensor, start: torch.Tensor, length: torch.Tensor, size: int) -> torch.Tensor:
    in_size = lines.shape[-1]
    if in_size > _LARGEST_IN_BANK:
        weights = resize_weights(start, length, in_size, size, lines.dtype).to(lines.device)
    else:
        index = (start * (in_size + 1) + length).to(lines.device)
        weights = _weight_bank(in_size, size, lines.dtype, lines.device).index_select(0, index)
    return torch.bmm(lines, weights.transpose(1, 2))


def _resize_levels(lines: torch.Tensor, start: torch.Tensor, length: torch.Tensor, size: int) -> torch.Tensor:
    in_size = lines.shape[-1]
    if in_size > _LARGEST_IN_BANK:
        whole, one = to_fixed_point(resize_weights(start, length, in_size, size, torch.float64).to(lines.device))
    else:
        index = (start * (in_size + 1) + length).to(lines.device)
        whole, one = (part.index_select(0, index) for part in _fixed_point_bank(in_size, size, lines.device))
    return fixed_point_resize(lines.to(whole.dtype), whole, one)


@lru_cache(maxsize=16)
def _weight_bank(in_size: int, size: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Weights of every window, at start * (in_size + 1) + length: ((in_size + 1)^2, size, in_size)."""
    start, length = torch.meshgrid(*[torch.arange(in_size + 1, device=device)] * 2, indexing="ij")
    # Windows that do not exist are made to, so that there is no division by 0.
    start = start.clamp(max=in_size - 1).flatten()
    return resize_weights(start, torch.minimum(length.flatten().clamp(min=1), in_size - start), in_size, size, dtype)


@lru_cache(maxsize=16)
def _fixed_point_bank(in_size: int, size: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    return to_fixed_point(_weight_bank(in_size, size, torch.float64, device))


def _check_integers(leading: torch.Size, **values: torch.Tensor) -> None:
    for name, value in values.items():
        if value.shape != leading:
            raise ValueError(f"{name} must have shape {tuple(leading)}, got {describe(value)}")
        if value.is_floating_point() or value.dtype == torch.bool:
            raise TypeError(f"{name} must be integers, got {describe(value)}")


def _check_windows(
    names: str, start: torch.Tensor, length: torch.Tensor | int, limit: int, rows: int, columns: int
) -> None:
    shortest = length if isinstance(length, int) else int(length.min()) if length.numel() else 1
    placed = not start.numel() or (int(start.min()) >= 0 and int((start + length).max()) <= limit)
    if not (placed and 1 <= shortest <= limit):
        raise ValueError(f"{names} must give windows of at least one pixel inside patches of {rows} x {columns}")


def _flip(pixels: torch.Tensor, which: torch.Tensor, axis: int) -> torch.Tensor:
    if which.dtype != torch.bool or which.shape != pixels.shape[:-3]:
        raise ValueError(f"which must be bool of shape {tuple(pixels.shape[:-3])}, got {describe(which)}")
    # Copying the chosen segments is several times as fast as choosing for each pixel.
    chosen = which.reshape(-1).nonzero().squeeze(1).to(pixels.device)
    flat = pixels.reshape(-1, *pixels.shape[-3:])
    return flat.index_copy(0, chosen, flat.index_select(0, chosen).flip(axis)).view(pixels.shape)
