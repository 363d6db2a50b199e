"""A dataset whose augmentations do not depend on who makes them."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import Dataset

from segaug._checks import check_int, describe
from segaug.data._seeding import seeded_stream

__all__ = ["SeededDataset", "seeded"]


class SeededDataset(Dataset[Any]):
    """A dataset that transforms every sample by a stream of its own. Made by :func:`seeded`."""

    def __init__(self, dataset: Any, transform: Callable[[Any], Any], seed: int) -> None:
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise TypeError(f"dataset must have a length and items by index, got {describe(dataset)}")
        if not callable(transform):
            raise TypeError(f"transform must be callable, got {describe(transform)}")
        own = [
            type(part).__name__
            for part in _parts(transform)
            if isinstance(getattr(part, "_generator", None), torch.Generator)
        ]
        if own:
            raise ValueError(
                f"transform must have no generator of its own, which would draw on from sample to sample: {', '.join(own)}"
            )
        self.dataset = dataset
        self.transform = transform
        self.seed = check_int("seed", seed, minimum=0)
        # In shared memory, so that workers that live on see a new epoch.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    @property
    def epoch(self) -> int:
        """The epoch that samples are drawn for."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Draw for this epoch from now on. Call it before each pass, as of a ``DistributedSampler``.

        Raises:
            TypeError: If ``epoch`` is no int.
            ValueError: If ``epoch`` is negative.
        """
        self._epoch.fill_(check_int("epoch", epoch, minimum=0))

    def __len__(self) -> int:
        """As many as the dataset has."""
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        """Make one sample: the dataset's, transformed."""
        sample = self.dataset[index]
        # An index from the end is the same sample.
        place = int(index) if index >= 0 else len(self.dataset) + int(index)
        with seeded_stream(self.seed, self.epoch, place):
            return self.transform(sample)


def _parts(transform: Any) -> Iterator[Any]:
    """Walk through a transform and all that it holds, in modules and attributes, lists, tuples and dicts."""
    seen: set[int] = set()
    stack = [transform]
    while stack:
        part = stack.pop()
        if id(part) in seen or isinstance(part, torch.Tensor | torch.Generator | type):
            continue
        seen.add(id(part))
        if isinstance(part, list | tuple | set):
            stack.extend(part)
        elif isinstance(part, dict):
            stack.extend(part.values())
        elif callable(part):
            yield part
            stack.extend(getattr(part, "__dict__", {}).values())
            # What a partial or a bound method holds.
            stack.extend(getattr(part, name, None) for name in ("func", "args", "keywords", "__self__"))


def seeded(dataset: Any, transform: Callable[[Any], Any], seed: int) -> SeededDataset:
    """Give each (seed, epoch, index) a stream of its own, whatever the number of loader workers.

    Inside ``transform`` torch's default generator, Python's ``random`` and numpy's ``np.random`` start from a seed made of
    the three numbers, and are put back afterwards. So a sample comes out the same, bit for bit, in the main process and in
    any worker, forked or spawned; with another epoch, set by :meth:`SeededDataset.set_epoch`, it comes out otherwise.

    Args:
        dataset: Has a length, and items by index.
        transform: Gets one item and returns the sample. No transform in it may have a ``generator=`` of its own.
        seed: At least 0.

    Returns:
        The dataset of transformed samples.

    Raises:
        TypeError: If ``dataset`` has no length or items, ``transform`` is not callable or ``seed`` no int.
        ValueError: If ``seed`` is negative, or a transform brings its own generator.

    Example:
        >>> from torchvision.transforms import v2
        >>> from segaug import Grid, PerSegment, Segment, Tokenize
        >>> tokens = Tokenize()(Segment(Grid(4, 4))(torch.rand(3, 32, 32)))
        >>> data = seeded([tokens, tokens], PerSegment(v2.RandomHorizontalFlip()), seed=0)
        >>> first = data[1]
        >>> torch.equal(data[1].patches, first.patches), torch.equal(data[0].patches, first.patches)
        (True, False)
        >>> data.set_epoch(1)
        >>> torch.equal(data[1].patches, first.patches)
        False
    """
    return SeededDataset(dataset, transform, seed)
