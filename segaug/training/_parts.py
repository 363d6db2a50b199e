"""Cut a batch into parts with little padding."""

import torch

from segaug._checks import check_int
from segaug.structures import SegmentTokens

__all__ = ["split_by_length"]


def split_by_length(
    tokens: SegmentTokens,
    targets: torch.Tensor,
    *,
    most_parts: int = 4,
    least_tokens: int = 512,
    least_parts: int = 1,
) -> list[tuple[SegmentTokens, torch.Tensor]]:
    """Cut a batch into parts of images with like numbers of tokens, each padded to its own longest.

    A model whose output for an image does not depend on the batch gives the same gradient for the parts, weighted by
    their sizes, as for the whole. With random batches of photos, whose numbers of segments differ threefold, a third of
    the batch is padding; in four parts it is a tenth. Choosing batches of like lengths would save as much, but such
    batches are mostly of one class.

    Args:
        tokens: A batch (B, N), padding last.
        targets: (B,), or (B, ...).
        most_parts: How many parts at most.
        least_tokens: Parts of fewer slots are not made, as small products are slow.
        least_parts: How many parts at least, however small, to need less memory; no part is empty.

    Returns:
        The parts, from short to long; together they hold each image once.

    Raises:
        TypeError: If a number is no int.
        ValueError: If a number is below 1.

    Example:
        >>> tokens = SegmentTokens(
        ...     patches=torch.rand(4, 9, 3, 8, 8), alpha=torch.ones(4, 9, 8, 8), boxes=torch.rand(4, 9, 4),
        ...     areas=torch.rand(4, 9), labels=torch.tensor([[1] * 9, [1] * 2 + [-1] * 7, [1] * 8 + [-1], [1] + [-1] * 8]),
        ... )
        >>> parts = split_by_length(tokens, torch.tensor([0, 1, 2, 3]), most_parts=2, least_tokens=1)
        >>> [(part.num_tokens, targets.tolist()) for part, targets in parts]
        [(2, [3, 1]), (9, [2, 0])]
    """
    check_int("most_parts", most_parts, minimum=1)
    check_int("least_tokens", least_tokens, minimum=1)
    check_int("least_parts", least_parts, minimum=1)
    parts = min(max(least_parts, min(most_parts, tokens.labels.numel() // least_tokens)), len(targets))
    if parts <= 1:
        return [(tokens, targets)]
    lengths = (~tokens.is_padding).sum(-1)
    order = lengths.argsort(stable=True)
    # One look at the lengths, so that a GPU is waited for once.
    longest = [int(part[-1]) for part in lengths[order].cpu().tensor_split(parts)]
    return [
        (tokens[index, : max(1, length)], targets[index])
        for index, length in zip(order.tensor_split(parts), longest, strict=True)
    ]
