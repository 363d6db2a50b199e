"""Batches of tokens, augmented where they are made."""

from collections.abc import Callable

import torch
from torch.utils.data import Dataset

from segaug._checks import check_int
from segaug.data._batches import Batch
from segaug.data._seeding import seeded_stream
from segaug.data._token_set import TokenSet
from segaug.structures import SegmentedImage, SegmentTokens, collate

__all__ = ["BatchedTokens"]

# Streams of their own for what is drawn per image and per batch.
_PER_IMAGE, _PER_BATCH = 0, 1


class BatchedTokens(Dataset[tuple[SegmentTokens, torch.Tensor]]):
    """A dataset whose items are whole batches, collated and augmented, for a ``DataLoader`` with ``batch_size=None``.

    A batch's augmentation depends on ``seed``, the epoch, its step and its items alone, so it is the same in whichever
    process it is made. Tokens are augmented per batch rather than per image, as the kernels are batched: for images of
    ten tokens that is ten times as fast.

    Args:
        tokens: The items.
        image: Changes every image with its map, by a draw of its own, before it is tokenised again; None takes the tokens
            that are there.
        transform: Changes a batch of tokens; None leaves it as it is.
        seed: Decides all draws.

    Raises:
        TypeError: If ``seed`` is no int.
        ValueError: If ``seed`` is negative.

    Example:
        >>> from torchvision.transforms import v2
        >>> from segaug import PerSegment, Tokenize
        >>> from segaug.data import Batch, SceneImages, Scenes, TokenDataset, load_tokens
        >>> source = TokenDataset(SceneImages(Scenes("count", n=4, size=64)), None, Tokenize(size=8))
        >>> batched = BatchedTokens(load_tokens(source), transform=PerSegment(v2.RandomHorizontalFlip()))
        >>> tokens, targets = batched[Batch(epoch=0, step=0, indices=(2, 3))]
        >>> len(tokens.labels), targets.shape
        (2, torch.Size([2]))
    """

    def __init__(
        self,
        tokens: TokenSet,
        *,
        image: Callable[[SegmentedImage], SegmentedImage] | None = None,
        transform: Callable[[SegmentTokens], SegmentTokens] | None = None,
        seed: int = 0,
    ) -> None:
        self._tokens = tokens
        self._image = image
        self._transform = transform
        self._seed = check_int("seed", seed, minimum=0)

    def __getitem__(self, batch: Batch) -> tuple[SegmentTokens, torch.Tensor]:
        """Make one batch: tokens (B, N) and targets (B,)."""
        tokens, targets = collate([self._item(batch.epoch, index) for index in batch.indices])
        if self._transform is not None:
            with seeded_stream(self._seed, _PER_BATCH, batch.epoch, batch.step):
                tokens = self._transform(tokens)
        return tokens, targets

    def _item(self, epoch: int, index: int) -> tuple[SegmentTokens, int]:
        if self._image is None:
            return self._tokens[index]
        source = self._tokens.source
        image, target = source.segmented(self._tokens.indices[index])
        with seeded_stream(self._seed, _PER_IMAGE, epoch, index):
            image = self._image(image)
        return source.tokenize(image), target
