"""Tokens across the images of a batch: which image a token goes to, and whose area an image then holds.

A plan is an ``index`` (B, M) int64: for each slot of the new batch the slot of the old one, flattened to B * N, that its
token comes from, or -1 for padding. So ``index // N`` is the image that a token comes from.
"""

import torch

from segaug._checks import describe

__all__ = ["area_shares", "match_tokens", "merge_tokens", "roll_partners", "swap_background", "take_tokens"]


def roll_partners(takes_part: torch.Tensor) -> torch.Tensor:
    """Stand the images that take part in a ring, and name each one's partner: the one before it.

    With all of them it is the partner of torchvision's ``CutMix`` and ``MixUp``: the batch rolled by one.

    Args:
        takes_part: (B,) bool.

    Returns:
        (B,) int64, a permutation: the image to receive from; itself for one that takes no part or does so alone.

    Raises:
        ValueError: If the shape is another.
        TypeError: If the dtype is another.

    Example:
        >>> roll_partners(torch.tensor([True, True, False, True])).tolist()
        [3, 0, 2, 1]
    """
    if takes_part.dtype != torch.bool:
        raise TypeError(f"takes_part must be bool, got {describe(takes_part)}")
    if takes_part.ndim != 1:
        raise ValueError(f"takes_part must have shape (B,), got {describe(takes_part)}")
    place = torch.arange(len(takes_part), device=takes_part.device)
    count = takes_part.sum()
    # Those in the ring first, in their order.
    order = (~takes_part).to(torch.uint8).argsort(stable=True)
    before = order[(place - 1) % count.clamp(min=1)] if len(order) else order
    return torch.zeros_like(order).scatter(0, order, torch.where(place < count, before, order))


def merge_tokens(
    labels: torch.Tensor, stays: torch.Tensor, received: torch.Tensor, source: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Plan images that keep some of their own tokens and receive foreground tokens of another image.

    Labels of received tokens are raised by the largest label of the image that receives them, so that labels stay unique.
    Tokens are in order: foreground by ascending label, then the background token, then padding; as many slots as the
    longest image needs.

    Args:
        labels: (B, N) int64: 0 is the background token, -1 padding.
        stays: (B, N) bool: which tokens an image keeps.
        received: (B, N) bool: ``received[i, j]`` is whether image i receives token j of image ``source[i]``. Background
            tokens and padding are never received.
        source: (B,) int64: the image to receive from.

    Returns:
        The plan ``index`` (B, M) int64, and the new labels (B, M) int64.

    Raises:
        ValueError: If the shapes do not fit together.
        TypeError: If a dtype is another.

    Example:
        >>> labels = torch.tensor([[1, 2, 0], [4, 0, -1]])
        >>> stays = torch.tensor([[True, False, True], [True, True, True]])
        >>> received = torch.tensor([[False, False, False], [False, True, False]])
        >>> index, new_labels = merge_tokens(labels, stays, received, torch.tensor([1, 0]))
        >>> index.tolist(), new_labels.tolist()
        ([[0, 2, -1], [3, 1, 4]], [[1, 0, -1], [4, 6, 0]])
    """
    _check_int64("labels", labels, 2)
    _check_int64("source", source, 1)
    if stays.dtype != torch.bool or received.dtype != torch.bool:
        raise TypeError(f"stays and received must be bool, got {describe(stays)} and {describe(received)}")
    if stays.shape != labels.shape or received.shape != labels.shape or len(source) != len(labels):
        raise ValueError(
            "stays and received must have the shape (B, N) of labels, and source (B,), got "
            f"{tuple(stays.shape)}, {tuple(received.shape)} and {tuple(source.shape)} for labels {tuple(labels.shape)}"
        )
    if not labels.numel():
        return labels.new_zeros((len(labels), 0)), labels.new_zeros((len(labels), 0))
    slots = torch.arange(labels.numel(), device=labels.device).view(labels.shape)
    largest = labels.amax(-1, keepdim=True).clamp(min=0)
    theirs = labels[source]
    index = torch.cat([slots, slots[source]], dim=-1)
    new_labels = torch.cat(
        [torch.where(stays, labels, -1), torch.where(received & (theirs > 0), theirs + largest, -1)], dim=-1
    )
    # The background's key comes after those of the foreground, and padding's last.
    last = torch.iinfo(torch.int64).max
    order = torch.where(new_labels > 0, new_labels, last - 1 - new_labels).argsort(dim=-1, stable=True)
    longest = int((new_labels >= 0).sum(-1).max())
    order = order[:, :longest]
    new_labels = new_labels.gather(-1, order)
    return torch.where(new_labels >= 0, index.gather(-1, order), -1), new_labels


def swap_background(labels: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """Plan images that each hold another's background token in the place of their own.

    Args:
        labels: (B, N) int64: 0 is the background token, -1 padding.
        source: (B,) int64: the image whose background token comes. An image keeps what it has if either of the two has no
            background token; for an exchange, in which no token is lost or doubled, ``source`` is a permutation of those
            that have one, as :func:`roll_partners` makes it.

    Returns:
        The plan ``index`` (B, N) int64.

    Raises:
        ValueError: If the shapes do not fit together.
        TypeError: If a dtype is another.

    Example:
        >>> swap_background(torch.tensor([[1, 2, 0], [1, 0, -1]]), torch.tensor([1, 0])).tolist()
        [[0, 1, 4], [3, 2, -1]]
    """
    _check_int64("labels", labels, 2)
    _check_int64("source", source, 1)
    if len(source) != len(labels):
        raise ValueError(
            f"source must have shape (B,) for labels (B, N), got {describe(source)} for {describe(labels)}"
        )
    slots = torch.arange(labels.numel(), device=labels.device).view(labels.shape)
    if labels.numel():
        is_background = labels == 0
        own = is_background.to(torch.uint8).argmax(-1, keepdim=True)
        has_one = is_background.any(-1)
        theirs = slots.gather(-1, own)[source]
        came = torch.where((has_one & has_one[source])[:, None], theirs, slots.gather(-1, own))
        slots = slots.scatter(-1, own, came)
    return torch.where(labels >= 0, slots, -1)


def take_tokens(values: torch.Tensor, index: torch.Tensor, fill: float = 0) -> torch.Tensor:
    """Bring what belongs to tokens into the slots of a plan.

    Args:
        values: (B, N, *K): any field of ``SegmentTokens``.
        index: (B, M) int64: the plan, slots of B * N, -1 for padding.
        fill: What padding holds.

    Returns:
        (B, M, *K) in the dtype of ``values``.

    Raises:
        ValueError: If ``values`` has fewer than two dimensions.
        TypeError: If ``index`` is not int64.

    Example:
        >>> take_tokens(torch.tensor([[0.5, 0.25], [0.75, 0.0]]), torch.tensor([[2, 0, 1], [-1, -1, -1]])).tolist()
        [[0.75, 0.5, 0.25], [0.0, 0.0, 0.0]]
    """
    _check_int64("index", index, 2)
    if values.ndim < 2:
        raise ValueError(f"values must have shape (B, N, ...), got {describe(values)}")
    taken = values.flatten(0, 1)[index.clamp(min=0)]
    return taken.masked_fill_((index < 0).view(*index.shape, *(1 for _ in values.shape[2:])), fill)


def area_shares(areas: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """Say which share of each image's token area comes from which image.

    Args:
        areas: (B, M) float, at least 0.
        image: (B, M) int64 in [0, B): the image that each token comes from; -1 for padding.

    Returns:
        (B, B) float64, rows sum to 1. An image without area is all its own.

    Raises:
        ValueError: If the shapes do not fit together.
        TypeError: If a dtype is another.

    Example:
        >>> area_shares(torch.tensor([[0.25, 0.75], [0.0, 0.0]]), torch.tensor([[0, 1], [0, -1]])).tolist()
        [[0.25, 0.75], [0.0, 1.0]]
    """
    _check_int64("image", image, 2)
    if not areas.is_floating_point():
        raise TypeError(f"areas must be float, got {describe(areas)}")
    if areas.shape != image.shape:
        raise ValueError(
            f"areas and image must have the same shape (B, M), got {describe(areas)} and {describe(image)}"
        )
    # Double: shares of a few hundred tokens are labels, and have to add up to 1 after rounding to float32.
    counted = areas.double().masked_fill(image < 0, 0.0)
    shares = counted.new_zeros((len(areas), len(areas)))
    if areas.numel():
        shares = shares.scatter_add(-1, image.clamp(min=0), counted)
    total = shares.sum(-1, keepdim=True)
    own = torch.eye(len(areas), dtype=shares.dtype, device=shares.device)
    return torch.where(total == 0, own, shares / total.masked_fill(total == 0, 1.0))


def match_tokens(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Find each token of one view in another by its label.

    Args:
        first: (..., N) int64 labels; -1 is padding.
        second: (..., M) int64 labels of the same images.

    Returns:
        (..., N) int64: the slot in ``second`` that has the label, or -1 for padding and where there is none.

    Raises:
        ValueError: If the leading shapes differ.
        TypeError: If a dtype is another.

    Example:
        >>> match_tokens(torch.tensor([1, 2, 0, -1]), torch.tensor([2, 3, 0, -1])).tolist()
        [-1, 0, 2, -1]
    """
    for name, labels in (("first", first), ("second", second)):
        if labels.dtype != torch.int64:
            raise TypeError(f"{name} must be int64, got {describe(labels)}")
    if not first.ndim or not second.ndim or first.shape[:-1] != second.shape[:-1]:
        raise ValueError(
            "first and second must have shapes (..., N) and (..., M) with the same leading dimensions, got "
            f"{tuple(first.shape)} and {tuple(second.shape)}"
        )
    if not second.shape[-1]:
        return torch.full_like(first, -1)
    equal = (first[..., :, None] == second[..., None, :]) & (first >= 0)[..., :, None]
    return torch.where(equal.any(-1), equal.to(torch.uint8).argmax(-1), -1)


def _check_int64(name: str, values: torch.Tensor, ndim: int) -> None:
    if values.dtype != torch.int64:
        raise TypeError(f"{name} must be int64, got {describe(values)}")
    if values.ndim != ndim:
        raise ValueError(f"{name} must have shape {'(B, N)' if ndim == 2 else '(B,)'}, got {describe(values)}")
