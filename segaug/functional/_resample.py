"""Weights of torch's antialiased resize, one row of them per output pixel, so that many resizes become one product."""

import torch

__all__ = ["fixed_point_resize", "resize_weights", "to_fixed_point"]


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


def to_fixed_point(weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Round weights as torch does to resize uint8 on the CPU: to whole numbers of at most 15 bits.

    Args:
        weights: (K, out_size, in_size) float64, from :func:`resize_weights`.

    Returns:
        Whole weights (K, out_size, in_size), and the whole number that stands for 1, (K, 1, 1), a power of two. Both
        float32 if sums of 255 times the weights are exact in it, else float64.

    Example:
        >>> whole, one = to_fixed_point(resize_weights(torch.tensor([0]), torch.tensor([2]), 2, 1, torch.float64))
        >>> (whole / one).tolist()
        [[[0.5, 0.5]]]
    """
    # As many bits behind the point as the largest weight leaves room for.
    bits = torch.arange(1, 23, device=weights.device, dtype=torch.float64)
    largest = weights.flatten(1).amax(-1, keepdim=True) if weights.numel() else weights.new_zeros((len(weights), 1))
    too_large = (largest * bits.exp2() + 0.5).floor() >= 2**15
    precision = torch.where(too_large.any(-1), too_large.to(torch.uint8).argmax(-1), 22)
    one = precision.double().exp2()[:, None, None]
    whole = (weights * one + 0.5).floor()
    if not len(one) or float(one.max()) <= 2**16:
        return whole.float(), one.float()
    return whole, one


def fixed_point_resize(pixels: torch.Tensor, whole: torch.Tensor, one: torch.Tensor) -> torch.Tensor:
    """Resize the last axis of whole levels with weights of :func:`to_fixed_point`, and round.

    Args:
        pixels: (K, R, in_size), whole numbers from 0 to 255, in the dtype of ``whole``.
        whole: (K, out_size, in_size).
        one: (K, 1, 1).

    Returns:
        (K, R, out_size), whole numbers from 0 to 255.

    Example:
        >>> whole, one = to_fixed_point(resize_weights(torch.tensor([0]), torch.tensor([2]), 2, 1, torch.float64))
        >>> fixed_point_resize(torch.tensor([[[10.0, 21.0]]]), whole, one).item()
        16.0
    """
    return torch.bmm(pixels, whole.transpose(1, 2)).add_(one * 0.5).mul_(1.0 / one).floor_().clamp_(0, 255)
