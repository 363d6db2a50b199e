"""Premultiplied and straight colour."""

import torch

__all__ = ["premultiply", "unpremultiply"]


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
