"""A new dtype for patches and coverage."""

import torch
import torchvision.transforms.v2.functional as F

__all__ = ["to_dtype"]


def to_dtype(pixels: torch.Tensor, dtype: torch.dtype, scale: bool) -> torch.Tensor:
    """Convert between uint8 and float in [0, 1], or between float types.

    Args:
        pixels: Any shape, uint8, or float in [0, 1].
        dtype: uint8 or a float type.
        scale: Whether to scale to the range of ``dtype``; it must be where integers become floats or back.

    Returns:
        The same shape, in ``dtype``.

    Raises:
        TypeError: If ``dtype`` is another.
        ValueError: If values would leave the range.

    Example:
        >>> to_dtype(torch.tensor([0, 255], dtype=torch.uint8), torch.float32, True).tolist()
        [0.0, 1.0]
    """
    if dtype != torch.uint8 and not dtype.is_floating_point:
        raise TypeError(f"dtype must be torch.uint8 or a float type, got {dtype}")
    if dtype.is_floating_point != pixels.is_floating_point() and not scale:
        raise ValueError("scale must be True to convert segments between uint8 and float in [0, 1], got False")
    return F.to_dtype_image(pixels, dtype, scale)
