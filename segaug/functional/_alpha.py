"""Premultiplied and straight colour."""

import torch

__all__ = ["fill_outside", "premultiply", "unpremultiply"]


def unpremultiply(patches: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Divide coverage out: the segment's own colours, 0 where it has no coverage.

    Args:
        patches: (..., C, H, W) premultiplied, uint8, or float in [0, 1].
        alpha: (..., H, W), in the dtype and range of ``patches``.

    Returns:
        (..., C, H, W) float: whole levels 0 to 255 for uint8, else [0, 1].

    Example:
        >>> patches, alpha = torch.tensor([[[50, 7]]], dtype=torch.uint8), torch.tensor([[128, 0]], dtype=torch.uint8)
        >>> unpremultiply(patches, alpha).tolist()
        [[[100.0, 0.0]]]
    """
    if patches.dtype == torch.uint8:
        coverage = alpha.float()
        scale = torch.where(coverage > 0, 255.0 / coverage, 0.0).unsqueeze(-3)
        return (patches * scale).round_().clamp_(max=255.0)
    coverage = alpha.unsqueeze(-3)
    # No reciprocal: that of a faint edge's coverage is above the largest half-precision number.
    return torch.where(coverage > 0, patches / coverage, 0.0).clamp_(max=1.0)


def premultiply(straight: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Multiply coverage in; undoes :func:`unpremultiply` exactly for uint8.

    Args:
        straight: (..., C, H, W) float: levels 0 to 255 if ``alpha`` is uint8, else [0, 1].
        alpha: (..., H, W), uint8, or float in [0, 1].

    Returns:
        (..., C, H, W) in the dtype of ``alpha``.

    Example:
        >>> premultiply(torch.tensor([[[100.0]]]), torch.tensor([[128]], dtype=torch.uint8)).tolist()
        [[[50]]]
    """
    if alpha.dtype != torch.uint8:
        return (straight * alpha.unsqueeze(-3)).to(alpha.dtype)
    return straight.mul((alpha / 255.0).unsqueeze(-3)).round_().to(torch.uint8)


def fill_outside(patches: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Straight colours, and the segment's mean colour where it has no coverage: for what looks at whole patches.

    Args:
        patches: (..., C, H, W) premultiplied, uint8, or float in [0, 1].
        alpha: (..., H, W), in the dtype and range of ``patches``.

    Returns:
        (..., C, H, W) in the dtype of ``patches``; black where a segment has no coverage at all.

    Example:
        >>> fill_outside(torch.tensor([[[0.75, 0.25, 0.0]]]), torch.tensor([[1.0, 1.0, 0.0]])).tolist()
        [[[0.75, 0.25, 0.5]]]
    """
    straight = unpremultiply(patches, alpha)
    # In double, so that the mean does not depend on how many segments are summed at once.
    weights = alpha.double().unsqueeze(-3)
    mean = (straight * weights).sum((-2, -1), keepdim=True) / weights.sum((-2, -1), keepdim=True).clamp(min=1e-12)
    if patches.dtype == torch.uint8:
        mean = mean.round()
    return torch.where(weights > 0, straight, mean.to(straight.dtype)).to(patches.dtype)
