"""The order of an epoch: which items, in which batches."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch.utils.data import Sampler

from segaug._checks import check_flag, check_int
from segaug.data._seeding import derive_seed

__all__ = ["Batch", "BatchOrder"]


class Batch(NamedTuple):
    """One batch of a training.

    Args:
        epoch: From 0.
        step: Its place in the epoch, from 0.
        indices: The items.
    """

    epoch: int
    step: int
    indices: tuple[int, ...]


class BatchOrder(Sampler[Batch]):
    """The batches of an epoch, in a random order that depends on ``seed`` and :attr:`epoch` alone.

    Batches differ by one item in size at most. With a ``pool`` above 1, so many batches at a time are sorted together by
    length and cut anew, so that less of a batch is padding; but where classes differ in their numbers of segments, such
    batches hold fewer classes.

    For ``DataLoader(BatchedTokens(...), sampler=BatchOrder(...), batch_size=None)``.

    Args:
        lengths: Number of tokens of each item.
        batch_size: Items per batch, at most.
        seed: Decides all orders.
        shuffle: False gives one order for all epochs, sorted by length.
        pool: How many batches are sorted together; 1 is a plain shuffle.

    Attributes:
        epoch: The epoch that the next iteration gives; set it before.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is out of range, or there are no items.

    Example:
        >>> order = BatchOrder([5, 90, 7, 80], batch_size=2, seed=0, pool=2)
        >>> sorted(sorted(batch.indices) for batch in order)
        [[0, 2], [1, 3]]
    """

    def __init__(
        self, lengths: Sequence[int], batch_size: int, *, seed: int = 0, shuffle: bool = True, pool: int = 1
    ) -> None:
        self._lengths = torch.as_tensor(lengths, dtype=torch.int64)
        if not len(self._lengths):
            raise ValueError("lengths must hold at least one item, got none")
        self._batch_size = check_int("batch_size", batch_size, minimum=1)
        self._seed = check_int("seed", seed, minimum=0)
        self._pool = check_int("pool", pool, minimum=1)
        self._shuffle = check_flag("shuffle", shuffle)
        self.epoch = 0

    def __len__(self) -> int:
        return -(-len(self._lengths) // self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for step, indices in enumerate(self._cut()):
            yield Batch(self.epoch, step, tuple(indices.tolist()))

    def _cut(self) -> list[torch.Tensor]:
        if not self._shuffle:
            return list(self._lengths.argsort(stable=True).tensor_split(len(self)))
        generator = torch.Generator().manual_seed(derive_seed(self._seed, self.epoch))
        order = torch.randperm(len(self._lengths), generator=generator)
        # Cut into batches first, so that their sizes are even whatever the pool is.
        batches = list(order.tensor_split(len(self)))
        for start in range(0, len(batches), self._pool):
            group = batches[start : start + self._pool]
            together = torch.cat(group)
            together = together[self._lengths[together].argsort(stable=True)]
            batches[start : start + self._pool] = together.split([len(batch) for batch in group])
        return [batches[place] for place in torch.randperm(len(batches), generator=generator).tolist()]
