"""The order of an epoch: which items, in which batches."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch.utils.data import Sampler

from segaug._checks import check_flag, check_int
from segaug.data._seeding import derive_seed

__all__ = ["Batch", "BatchOrder"]


class Batch(NamedTuple):
    """One batch of a training, or a group of one.

    Args:
        epoch: From 0.
        step: Its place in the epoch, from 0.
        indices: The items.
        group: Which group of the step's batch it is, from 0.
        share: The group's share of the step's items, in (0, 1].
    """

    epoch: int
    step: int
    indices: tuple[int, ...]
    group: int = 0
    share: float = 1.0


class BatchOrder(Sampler[Batch]):
    """The batches of an epoch, in a random order that depends on ``seed`` and :attr:`epoch` alone.

    Batches differ by one item in size at most. With a ``pool`` above 1, so many batches at a time are sorted together by
    length and cut anew, so that less of a batch is padding; but where classes differ in their numbers of segments, such
    batches hold fewer classes.

    With ``groups`` above 1 every batch is cut into so many groups of like size, each an item of its own. The groups do not
    depend on ``share``, which says which of them are given here: process r of n takes ``share=(r, n)``. Without
    ``shuffle``, whole batches are shared out instead, so that every item is given to one process.

    For ``DataLoader(BatchedTokens(...), sampler=BatchOrder(...), batch_size=None)``.

    Args:
        lengths: Number of tokens of each item.
        batch_size: Items per batch, at most.
        seed: Decides all orders.
        shuffle: False gives one order for all epochs, sorted by length.
        pool: How many batches are sorted together; 1 is a plain shuffle.
        groups: How many groups a batch is cut into.
        share: A number and how many numbers there are; ``groups`` is a multiple of the latter.

    Attributes:
        epoch: The epoch that the next iteration gives; set it before.
        start: The first step that the next iteration gives; set it before to go on within an epoch.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is out of range, there are no items, or a batch has fewer items than groups.

    Example:
        >>> order = BatchOrder([5, 90, 7, 80], batch_size=2, seed=0, pool=2)
        >>> sorted(sorted(batch.indices) for batch in order)
        [[0, 2], [1, 3]]
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        pool: int = 1,
        groups: int = 1,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self._lengths = torch.as_tensor(lengths, dtype=torch.int64)
        if not len(self._lengths):
            raise ValueError("lengths must hold at least one item, got none")
        self._batch_size = check_int("batch_size", batch_size, minimum=1)
        self._seed = check_int("seed", seed, minimum=0)
        self._pool = check_int("pool", pool, minimum=1)
        self._shuffle = check_flag("shuffle", shuffle)
        self._groups = check_int("groups", groups, minimum=1)
        self._number = check_int("share", share[0], minimum=0)
        self._numbers = check_int("share", share[1], minimum=self._number + 1)
        if shuffle and groups % self._numbers:
            raise ValueError(f"groups must be a multiple of the number of shares ({self._numbers}), got {groups}")
        # Batches differ by one item in size at most, so the smallest has so many.
        if groups > (smallest := len(self._lengths) // self.steps):
            raise ValueError(f"groups must be at most the items of the smallest batch ({smallest}), got {groups}")
        self.epoch = 0
        self.start = 0

    @property
    def steps(self) -> int:
        """How many batches an epoch has."""
        return -(-len(self._lengths) // self._batch_size)

    @property
    def groups_per_step(self) -> int:
        """How many groups of each batch are given here."""
        return self._groups // self._numbers if self._shuffle else self._groups

    def __len__(self) -> int:
        """How many items the next iteration gives."""
        steps = range(self.start, self.steps)
        return len(steps if self._shuffle else steps[self._number :: self._numbers]) * self.groups_per_step

    def __iter__(self) -> Iterator[Batch]:
        first = self._number * self.groups_per_step if self._shuffle else 0
        steps = list(enumerate(self._cut()))[self.start :]
        for step, indices in steps if self._shuffle else steps[self._number :: self._numbers]:
            groups = indices.tensor_split(self._groups)
            for group in range(first, first + self.groups_per_step):
                chosen = tuple(groups[group].tolist())
                yield Batch(self.epoch, step, chosen, group, len(chosen) / len(indices))

    def _cut(self) -> list[torch.Tensor]:
        if not self._shuffle:
            return list(self._lengths.argsort(stable=True).tensor_split(self.steps))
        generator = torch.Generator().manual_seed(derive_seed(self._seed, self.epoch))
        order = torch.randperm(len(self._lengths), generator=generator)
        # Cut into batches first, so that their sizes are even whatever the pool is.
        batches = list(order.tensor_split(self.steps))
        for start in range(0, len(batches), self._pool):
            group = batches[start : start + self._pool]
            together = torch.cat(group)
            together = together[self._lengths[together].argsort(stable=True)]
            batches[start : start + self._pool] = together.split([len(batch) for batch in group])
        return [batches[place] for place in torch.randperm(len(batches), generator=generator).tolist()]
