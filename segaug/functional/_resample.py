"""Weights of torch's antialiased resize, one row of them per output pixel, so that many resizes become one product."""

import torch

__all__ = ["fixed_point_resize", "resize_weights"]


def resize_weights(
    start: torch.Tensor, length: torch.Tensor, in_size: int, out_size: int, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Weights that crop ``length`` pixels from ``start`` on and resize them to ``out_size``.

    The triangle filter, widened by the scale where it shrinks, cut off at the crop's ends and normalised: what
    ``torch.nn.functional.interpolate(crop, mode="bilinear", antialias=True)`` computes.

    Args:
        start: (K,) integers: first pixel of each crop.
        length: (K,) integers: pixels of each crop, at least 1.
        in_size: Pixels of the axis that is cropped; every crop lies within.
        out_size: Pixels after the resize.
        dtype: float32 or float64.

    Returns:
        (K, out_size, in_size). Each row sums to 1.

    Example:
        >>> resize_weights(torch.tensor([1]), torch.tensor([2]), in_size=4, out_size=1).tolist()
        [[[0.0, 0.5, 0.5, 0.0]]]
    """
    scale = length.to(dtype)[:, None, None] / out_size
    center = (torch.arange(out_size, device=start.device, dtype=dtype)[:, None] + 0.5) * scale
    pixel = torch.arange(in_size, device=start.device)[None, None, :] - start[:, None, None]
    weights = pixel + 0.5 - center
    weights = weights.abs_().div_(scale.clamp(min=1.0)).neg_().add_(1.0).clamp_(min=0.0)
    weights.mul_((pixel >= 0) & (pixel < length[:, None, None]))
    return weights.div_(weights.sum(-1, keepdim=True))


def fixed_point_resize(pixels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Resize the last axis of whole levels as torch does uint8 on the CPU: weights of 16 bits, the result rounded.

    Args:
        pixels: (K, R, in_size) float64, whole numbers from 0 to 255.
        weights: (K, out_size, in_size) float64, from :func:`resize_weights`.

    Returns:
        (K, R, out_size) float64, whole numbers from 0 to 255.

    Example:
        >>> weights = resize_weights(torch.tensor([0]), torch.tensor([2]), 2, 1, torch.float64)
        >>> fixed_point_resize(torch.tensor([[[10.0, 21.0]]], dtype=torch.float64), weights).item()
        16.0
    """
    # As many bits behind the point as the largest weight leaves room for.
    bits = torch.arange(1, 23, device=weights.device, dtype=torch.float64)
    largest = weights.flatten(1).amax(-1, keepdim=True) if weights.numel() else weights.new_zeros((len(weights), 1))
    too_large = (largest * bits.exp2() + 0.5).floor() >= 2**15
    precision = torch.where(too_large.any(-1), too_large.to(torch.uint8).argmax(-1), 22)
    one = precision.double().exp2()[:, None, None]
    whole = (weights * one + 0.5).floor()
    return torch.bmm(pixels, whole.transpose(1, 2)).add_(one * 0.5).div_(one).floor_().clamp_(0, 255)
