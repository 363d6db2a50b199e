"""Which tokens of an image are hidden."""

import torch

from segaug._checks import check_number, describe

__all__ = ["hide_tokens"]


def hide_tokens(labels: torch.Tensor, noise: torch.Tensor, ratio: float) -> torch.Tensor:
    """Hide a share of each image's tokens, those of the lowest numbers (MAE, arXiv 2111.06377, section 3).

    Padding does not count and is never hidden. An image of at least two tokens has one or more hidden and one or more left.

    Args:
        labels: (..., N) int64: -1 is padding.
        noise: (..., N): a random number for each token; of equal ones the earlier token is hidden.
        ratio: Share to hide, in [0, 1], rounded to whole tokens.

    Returns:
        (..., N) bool: which tokens are hidden.

    Raises:
        TypeError: If ``labels`` is not int64, or ``ratio`` is no number.
        ValueError: If the shapes do not fit together, or ``ratio`` is out of range.

    Example:
        >>> labels, noise = torch.tensor([[4, 7, 9, 0], [5, 0, -1, -1]]), torch.tensor([[0.3, 0.1, 0.2, 0.9]] * 2)
        >>> hide_tokens(labels, noise, 0.75).tolist()
        [[True, True, True, False], [False, True, False, False]]
    """
    check_number("ratio", ratio, minimum=0.0, maximum=1.0)
    if labels.dtype != torch.int64:
        raise TypeError(f"labels must be int64, got {describe(labels)}")
    if noise.shape != labels.shape:
        raise ValueError(
            f"labels and noise must have one shape (..., N), got {tuple(labels.shape)} and {tuple(noise.shape)}"
        )
    real = labels >= 0
    count = real.sum(-1, keepdim=True)
    hide = (count * ratio).round().long().clamp(min=1)
    hide = torch.minimum(hide, (count - 1).clamp(min=0))
    by_noise = noise.argsort(dim=-1, stable=True)
    # Padding last, whatever its numbers are.
    order = by_noise.gather(-1, (~real).gather(-1, by_noise).to(torch.uint8).argsort(dim=-1, stable=True))
    return order.argsort(dim=-1) < hide
