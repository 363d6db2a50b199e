"""Weights of torch's antialiased resize, one row of them per output pixel, so that many resizes become one product."""

import torch

__all__ = ["resize_weights"]


def resize_weights(start: torch.Tensor, length: torch.Tensor, in_size: int, out_size: int) -> torch.Tensor:
    """Weights that crop ``length`` pixels from ``start`` on and resize them to ``out_size``.

    The triangle filter, widened by the scale where it shrinks, cut off at the crop's ends and normalised: what
    ``torch.nn.functional.interpolate(crop, mode="bilinear", antialias=True)`` computes.

    Args:
        start: (K,) integers: first pixel of each crop.
        length: (K,) integers: pixels of each crop, at least 1.
        in_size: Pixels of the axis that is cropped; every crop lies within.
        out_size: Pixels after the resize.

    Returns:
        (K, out_size, in_size) float32. Each row sums to 1.

    Example:
        >>> resize_weights(torch.tensor([1]), torch.tensor([2]), in_size=4, out_size=1).tolist()
        [[[0.0, 0.5, 0.5, 0.0]]]
    """
    scale = length.float()[:, None, None] / out_size
    center = (torch.arange(out_size, device=start.device, dtype=torch.float32)[:, None] + 0.5) * scale
    pixel = torch.arange(in_size, device=start.device)[None, None, :] - start[:, None, None]
    weights = pixel + 0.5 - center
    weights = weights.abs_().div_(scale.clamp(min=1.0)).neg_().add_(1.0).clamp_(min=0.0)
    weights.mul_((pixel >= 0) & (pixel < length[:, None, None]))
    return weights.div_(weights.sum(-1, keepdim=True))
