"""A bound on how many tokens an image has."""

import torch

from segaug._checks import check_int, describe

__all__ = ["limit_tokens"]


def limit_tokens(labels: torch.Tensor, scores: torch.Tensor, most: int) -> torch.Tensor:
    """Plan images that keep the foreground tokens of the highest scores, and their background token.

    Args:
        labels: (B, N) int64: 0 is the background token, -1 padding.
        scores: (B, N): of equal scores the earlier token stays.
        most: How many foreground tokens an image may keep.

    Returns:
        The plan ``index`` (B, M) int64, as for :func:`take_tokens`: tokens in their order, then padding (-1); as many slots
        as the longest image needs.

    Raises:
        TypeError: If ``labels`` is not int64, or ``most`` is no int.
        ValueError: If the shapes do not fit together, or ``most`` is below 0.

    Example:
        >>> labels = torch.tensor([[1, 2, 3, 0], [1, 0, -1, -1]])
        >>> limit_tokens(labels, torch.tensor([[0.2, 0.1, 0.3, 0.4], [0.5, 0.5, 0.0, 0.0]]), 2).tolist()
        [[0, 2, 3], [4, 5, -1]]
    """
    check_int("most", most, minimum=0)
    if labels.dtype != torch.int64:
        raise TypeError(f"labels must be int64, got {describe(labels)}")
    if labels.ndim != 2 or scores.shape != labels.shape:
        raise ValueError(
            f"labels and scores must have one shape (B, N), got {tuple(labels.shape)} and {tuple(scores.shape)}"
        )
    if not labels.numel():
        return labels.new_zeros((len(labels), 0))
    is_foreground = labels > 0
    # The foreground first, by score; stable, so that the earlier of two equal ones is before the other.
    by_score = scores.argsort(dim=-1, descending=True, stable=True)
    order = by_score.gather(-1, (~is_foreground.gather(-1, by_score)).to(torch.uint8).argsort(dim=-1, stable=True))
    keep = is_foreground & (order.argsort(dim=-1) < most) | (labels == 0)
    slots = torch.arange(labels.numel(), device=labels.device).view(labels.shape)
    first = (~keep).to(torch.uint8).argsort(dim=-1, stable=True)[:, : int(keep.sum(-1).max())]
    return torch.where(keep, slots, -1).gather(-1, first)
