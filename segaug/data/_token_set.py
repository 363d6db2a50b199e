"""All tokens of a dataset: made or read once, and kept in memory if they fit."""

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from segaug._checks import check_int
from segaug._progress import progress_bar
from segaug.data._pictures import BadImageError
from segaug.data._store import StoreCounts
from segaug.data._tokens import TokenDataset
from segaug.structures import SegmentTokens

__all__ = ["TokenSet", "load_tokens"]

_FIELDS = tuple(field.name for field in fields(SegmentTokens))
_GIB = 2**30


class TokenSet(Dataset[tuple[SegmentTokens, int]]):
    """The tokens of a :class:`~segaug.data.TokenDataset`, without the items whose image cannot be read.

    :func:`load_tokens` makes it.

    Args:
        source: The dataset that the items come from.
        indices: For every item, its index there.
        lengths: The items' numbers of tokens.
        held: All tokens in one row (sum of the lengths), or None to read or make an item each time.
        skipped: Messages of the images left out, which name them.
        counts: What was found in the store and what was made.
        fingerprint: The checksum, if it is known; None computes it when it is asked for.

    Attributes:
        source: As given.
        indices: As given.
        targets: The items' classes.
        lengths: As given.
        skipped: As given.
        counts: As given.
    """

    def __init__(
        self,
        source: TokenDataset,
        indices: Sequence[int],
        lengths: Sequence[int],
        held: SegmentTokens | None,
        *,
        skipped: Sequence[str] = (),
        counts: StoreCounts | None = None,
        fingerprint: str | None = None,
    ) -> None:
        self.source = source
        self.indices = list(indices)
        self.targets = [source.images.targets[index] for index in self.indices]
        self.lengths = list(lengths)
        self.skipped = list(skipped)
        self.counts = StoreCounts() if counts is None else counts
        # One row and not a list: a worker process that is started afresh gets five tensors instead of thousands.
        self._held = held
        self._fingerprint = fingerprint
        self._starts = [0, *itertools.accumulate(self.lengths)]

    @property
    def classes(self) -> list[str]:
        """The classes' names; a target is an index into them."""
        return self.source.classes

    @property
    def in_memory(self) -> bool:
        """Whether the tokens are held."""
        return self._held is not None

    @property
    def fingerprint(self) -> str:
        """A checksum over all tokens and targets: another one means that the data, or how they are cut, changed."""
        if self._fingerprint is None:
            digest = hashlib.sha256()
            for tokens, _ in self:
                _add_tokens(digest, {name: getattr(tokens, name).as_subclass(torch.Tensor).numpy() for name in _FIELDS})
            self._fingerprint = _finish(digest, self.targets)
        return self._fingerprint

    @property
    def mean_tokens(self) -> float:
        """How many tokens an image has on average, the background's included."""
        return sum(self.lengths) / len(self.lengths)

    @property
    def report(self) -> str:
        """One line: how many images and tokens, what was found in the store and made, what was left out."""
        counts = self.counts
        parts = [f"{len(self)} images, {self.mean_tokens:.1f} tokens each"]
        if self.source.store is not None:
            parts.append(f"{counts.found} entries found in {self.source.store.folder}, {counts.made} made")
        if counts.damaged:
            parts.append(f"{counts.damaged} damaged and made again")
        if counts.unsaved:
            # The reason comes once; what is loaded later is only counted.
            parts.append(f"{counts.unsaved} not stored" + (f" ({counts.problem})" if counts.problem else ""))
        if self.skipped:
            more = ", ..." if len(self.skipped) > 1 else ""
            parts.append(f"{len(self.skipped)} images skipped ({self.skipped[0]}{more})")
        return "; ".join(parts)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[SegmentTokens, int]:
        """Return an item's tokens and class."""
        if self._held is None:
            return self.source[self.indices[index]]
        return self._held[self._starts[index] : self._starts[index + 1]], self.targets[index]

    def __iter__(self) -> Iterator[tuple[SegmentTokens, int]]:
        """Go through the items."""
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        where = "in memory" if self.in_memory else "on disk"
        return f"TokenSet(images={len(self)}, mean_tokens={self.mean_tokens:.1f}, {where})"


def load_tokens(
    dataset: TokenDataset,
    *,
    workers: int = 0,
    skip_bad: bool = False,
    memory_limit: int = _GIB,
    progress: str | None = None,
) -> TokenSet:
    """Make or read the tokens of all items once.

    Args:
        dataset: The items.
        workers: Processes that segment and tokenise; 0 does it in this one.
        skip_bad: Leave out images that cannot be read, instead of raising.
        memory_limit: Bytes that the tokens may take; if they need more, none are held.
        progress: Title of a progress bar (extra ``train``), or None for no bar.

    Returns:
        The tokens.

    Raises:
        BadImageError: If an image cannot be read and ``skip_bad`` is not set. The message names the file.
        ValueError: If no image can be read, or an argument is out of range.

    Example:
        >>> from segaug import Tokenize
        >>> from segaug.data import SceneImages, Scenes
        >>> scenes = SceneImages(Scenes("count", n=4, size=64))
        >>> tokens = load_tokens(TokenDataset(scenes, None, Tokenize(size=8)))
        >>> len(tokens), tokens.in_memory, len(tokens.lengths)
        (4, True, 4)
    """
    check_int("workers", workers, minimum=0)
    check_int("memory_limit", memory_limit, minimum=0)
    loader: Iterable[_Loaded] = DataLoader(
        _Loading(dataset),
        batch_size=None,
        num_workers=workers,
        # The loader draws a seed for its workers; not from the caller's generator.
        generator=torch.Generator().manual_seed(0),
    )
    if progress is not None:
        loader = progress_bar(loader, progress, "image")
    indices, lengths, skipped = [], [], []
    held: dict[str, list[np.ndarray[Any, Any]]] | None = {name: [] for name in _FIELDS}
    held_bytes = 0
    counts = StoreCounts()
    digest = hashlib.sha256()
    for index, loaded in enumerate(loader):
        counts += loaded.counts
        if loaded.error is not None:
            if not (skip_bad and isinstance(loaded.error, BadImageError)):
                raise loaded.error
            skipped.append(str(loaded.error))
            continue
        indices.append(index)
        lengths.append(len(loaded.fields["labels"]))
        _add_tokens(digest, loaded.fields)
        if held is not None:
            held_bytes += sum(field.nbytes for field in loaded.fields.values())
            for name, values in held.items():
                values.append(loaded.fields[name])
            if held_bytes > memory_limit:
                held = None
    if counts.problem and dataset.store is not None:
        # It may have been in a worker, which is gone.
        dataset.store.stop_writing()
    if not indices:
        raise ValueError(f"there is no image that can be read; the first: {skipped[0] if skipped else 'none at all'}")
    row = None
    if held is not None:
        # Popped one by one, so that only one field is there twice at a time.
        row = SegmentTokens(**{name: torch.from_numpy(np.concatenate(held.pop(name))) for name in _FIELDS})
    fingerprint = _finish(digest, [dataset.images.targets[index] for index in indices])
    return TokenSet(dataset, indices, lengths, row, skipped=skipped, counts=counts, fingerprint=fingerprint)


def _add_tokens(digest: "hashlib._Hash", arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    digest.update(str([(name, arrays[name].shape, str(arrays[name].dtype)) for name in _FIELDS]).encode())
    for name in _FIELDS:
        digest.update(np.ascontiguousarray(arrays[name]).data)


def _finish(digest: "hashlib._Hash", targets: Sequence[int]) -> str:
    digest.update(str([int(target) for target in targets]).encode())
    return digest.hexdigest()[:32]


@dataclass
class _Loaded:
    """An item on its way from a worker. Arrays, as every tensor would hold an open file while it is shared."""

    fields: dict[str, np.ndarray[Any, Any]]
    error: Exception | None
    counts: StoreCounts


class _Loading(Dataset[_Loaded]):
    def __init__(self, dataset: TokenDataset) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> _Loaded:
        arrays: dict[str, np.ndarray[Any, Any]] = {}
        failure: Exception | None = None
        try:
            tokens, _ = self._dataset[index]
            arrays = {name: getattr(tokens, name).as_subclass(torch.Tensor).numpy() for name in _FIELDS}
        except (TypeError, ValueError) as error:
            # Returned, not raised: from a worker it would arrive with the worker's traceback in its message.
            failure = error
        store = self._dataset.store
        return _Loaded(arrays, failure, StoreCounts() if store is None else store.take_counts())
