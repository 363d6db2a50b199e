"""The order of an epoch: which items, in which batches."""

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler

from segaug._checks import check_int
from segaug.data._seeding import derive_seed

__all__ = ["TokenBatches"]


class TokenBatches(Sampler[list[int]]):
    """Batches of like numbers of tokens, so that little is padding; as a ``batch_sampler`` of a ``DataLoader``.

    An epoch is a random order cut into pools; a pool is sorted by length and cut into batches; the batches are then
    shuffled. It depends on ``seed`` and :attr:`epoch` alone. Batches differ by one item in size at most.

    An item's number in epoch e is ``e * len(lengths) + index``. So a dataset can tell the epochs apart
    (:class:`~segaug.data.AugmentedTokens` does), in worker processes too; others take it modulo their length, or use
    ``numbered=False``.

    Args:
        lengths: Number of tokens of each item.
        batch_size: Items per batch, at most.
        seed: Decides all orders.
        shuffle: False gives one order for all epochs, sorted by length.
        pool: Batches that are sorted together; 1 is a plain shuffle.
        numbered: Whether items are numbered through over the epochs.

    Attributes:
        epoch: The epoch that the next iteration gives; set it before.

    Raises:
        ValueError: If an argument is out of range, or there are no items.

    Example:
        >>> batches = TokenBatches([5, 90, 7, 80], batch_size=2, seed=0, pool=2)
        >>> sorted(sorted(batch) for batch in batches)
        [[0, 2], [1, 3]]
        >>> batches.epoch = 1
        >>> sorted(sorted(batch) for batch in batches)
        [[0, 2], [1, 3]]
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        pool: int = 4,
        numbered: bool = False,
    ) -> None:
        self._lengths = torch.as_tensor(lengths, dtype=torch.int64)
        if not len(self._lengths):
            raise ValueError("lengths must hold at least one item, got none")
        self._batch_size = check_int("batch_size", batch_size, minimum=1)
        self._seed = check_int("seed", seed, minimum=0)
        self._pool = check_int("pool", pool, minimum=1)
        self._shuffle = shuffle
        self._numbered = numbered
        self.epoch = 0

    def __len__(self) -> int:
        return -(-len(self._lengths) // self._batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        count, batches = len(self._lengths), len(self)
        offset = self.epoch * count if self._numbered else 0
        if not self._shuffle:
            order = self._lengths.argsort(stable=True)
            yield from ((batch + offset).tolist() for batch in order.tensor_split(batches))
            return
        generator = torch.Generator().manual_seed(derive_seed(self._seed, self.epoch))
        order = torch.randperm(count, generator=generator)
        # Cut into batches first, so that sizes stay even whatever the pool.
        parts = list(order.tensor_split(batches))
        for start in range(0, batches, self._pool):
            group = parts[start : start + self._pool]
            together = torch.cat(group)
            together = together[self._lengths[together].argsort(stable=True)]
            parts[start : start + self._pool] = together.split([len(part) for part in group])
        for place in torch.randperm(batches, generator=generator).tolist():
            yield (parts[place] + offset).tolist()
