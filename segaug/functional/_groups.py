"""Boxes of like size, side by side: so that many small pictures of any size become a few batches."""

import torch

__all__ = ["group_by_size"]

# Values that one group may hold: 64 MiB of floats.
_GROUP_VALUES = 2**18
# A further group takes about as long as this many pixels more.
_PIXELS_PER_GROUP = 10_000


def group_by_size(sides: torch.Tensor) -> tuple[torch.Tensor, list[tuple[int, int, tuple[int, int]]]]:
    """Split boxes into groups, so that padded pixels plus the cost of a group add up to the least.

    Args:
        sides: (K, 2) int64 on the CPU: width and height of each box, at least 1.

    Returns:
        The order (K,) in which the boxes of a group lie side by side; and for each group where it starts and ends in
        there, and the width and height that hold all of it.

    Example:
        >>> order, groups = group_by_size(torch.tensor([[400, 400], [9, 8], [7, 9]]))
        >>> order.tolist(), groups
        ([2, 1, 0], [(0, 2, (9, 9)), (2, 3, (400, 400))])
    """
    if not len(sides):
        return torch.zeros(0, dtype=torch.int64), []
    # In the order of this key a group is a stretch: tall boxes, large to small, then wide ones, small to large, in steps
    # of a factor of about 1.26.
    step = sides.amax(-1).clamp(min=12).double().log2().mul(3).ceil()
    step = torch.where(sides[:, 0] >= sides[:, 1], step, -step)
    keys, inverse, counts = torch.unique(step, return_inverse=True, return_counts=True)
    largest = torch.zeros((len(keys), 2), dtype=torch.int64)
    largest.scatter_reduce_(0, inverse[:, None].expand(-1, 2), sides, "amax")
    frames = list(zip(counts.tolist(), *largest.T.tolist(), strict=True))
    # best[i]: the least cost of the first i steps, and the groups that have it.
    best: list[tuple[float, list[tuple[int, int, int]]]] = [(0.0, [])]
    for end in range(1, len(frames) + 1):
        count = wide = tall = 0
        choices = []
        for begin in range(end - 1, -1, -1):
            more, width, height = frames[begin]
            count, wide, tall = count + more, max(wide, width), max(tall, height)
            if begin < end - 1 and count * wide * tall * 4 > _GROUP_VALUES:
                break
            cost, before = best[begin]
            choices.append((cost + count * wide * tall + _PIXELS_PER_GROUP, [*before, (count, wide, tall)]))
        best.append(min(choices))
    groups = []
    first = 0
    for count, wide, tall in best[-1][1]:
        # Many boxes as large as the picture, one mask each, do not fit into memory together.
        most = max(1, _GROUP_VALUES // (wide * tall * 4))
        for part in range(first, first + count, most):
            groups.append((part, min(part + most, first + count), (wide, tall)))
        first += count
    return inverse.argsort(stable=True), groups
