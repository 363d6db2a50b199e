"""The loaders of a training."""

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from segaug.data import Batch, BatchedTokens, BatchOrder
from segaug.structures import SegmentTokens

__all__ = ["BatchLoader"]

_Made = tuple[SegmentTokens, torch.Tensor]


class BatchLoader:
    """Batches in an order, made by other processes if there are any.

    Args:
        batches: Makes them.
        order: Which ones.
        workers: How many processes; 0 makes them in this one.
        pin_memory: Whether they go to a GPU.
    """

    def __init__(self, batches: BatchedTokens, order: BatchOrder, *, workers: int, pin_memory: bool) -> None:
        self._order = order
        self._loader: DataLoader[Any] = DataLoader(
            _Caught(batches),
            sampler=order,
            batch_size=None,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=pin_memory,
            # The loader draws a seed for its workers; not from the caller's generator.
            generator=torch.Generator().manual_seed(0),
        )

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[tuple[Batch, SegmentTokens, torch.Tensor]]:
        """Give each batch's place and items, its tokens and its targets."""
        for batch, made in zip(self._order, self._loader, strict=True):
            if isinstance(made, Exception):
                raise made
            yield batch, *made


class _Caught(Dataset[_Made | Exception]):
    def __init__(self, batches: BatchedTokens) -> None:
        self._batches = batches

    def __getitem__(self, batch: Batch) -> _Made | Exception:
        try:
            return self._batches[batch]
        except (OSError, TypeError, ValueError) as error:
            # Returned, not raised: from a worker it would arrive with the worker's traceback in its message.
            return error
