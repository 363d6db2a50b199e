"""Batches of tokens, augmented where they are made."""

from collections.abc import Callable

import torch
from torch.utils.data import Dataset

from segaug._checks import check_int
from segaug.data._batches import Batch
from segaug.data._held_images import HeldImages
from segaug.data._seeding import seeded_stream
from segaug.data._token_set import TokenSet
from segaug.segmenters import Segmenter
from segaug.structures import SegmentedImage, SegmentTokens, collate

__all__ = ["BatchedTokens"]

# Streams of their own for what is drawn per image and per batch.
_PER_IMAGE, _PER_BATCH = 0, 1
_GIB = 2**30


class BatchedTokens(Dataset[tuple[SegmentTokens, torch.Tensor]]):
    """A dataset whose items are whole batches, collated and augmented, for a ``DataLoader`` with ``batch_size=None``.

    A batch's augmentation depends on ``seed``, the epoch, its step, its group and its items alone, so it is the same in
    whichever process it is made. Tokens are augmented per batch rather than per image, as the kernels are batched: for
    images of ten tokens that is ten times as fast.

    Args:
        tokens: The items.
        image: Changes every image with its map, by a draw of its own, before it is tokenised again; None takes the tokens
            that are there. Where the segmenter does not look at pixels (see
            :attr:`segaug.segmenters.Segmenter.depends_on_pixels`), the changed image is segmented anew, so that a grid
            stays a grid.
        transform: Changes a batch of tokens; None leaves it as it is.
        batch: Changes ``(tokens, targets)`` after that, as :class:`~segaug.SegmentMix` does; targets may become soft. None
            leaves them as they are.
        seed: Decides all draws.
        memory_limit: Bytes that decoded images and their maps may take, for ``image``. They are then read once, here, and
            all kept; if they need more, or differ in shape, they are read each time.
        workers: Processes that read them; 0 does it in this one.

    Raises:
        TypeError: If a number is no int.
        ValueError: If a number is negative.
        BadImageError: If an image cannot be read. The message names the file.

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
        batch: Callable[[SegmentTokens, torch.Tensor], tuple[SegmentTokens, torch.Tensor]] | None = None,
        seed: int = 0,
        memory_limit: int = _GIB,
        workers: int = 0,
    ) -> None:
        self._tokens = tokens
        self._image = image
        self._transform = transform
        self._batch = batch
        self._seed = check_int("seed", seed, minimum=0)
        check_int("memory_limit", memory_limit, minimum=0)
        check_int("workers", workers, minimum=0)
        self._held = None
        if image is not None and memory_limit:
            self._held = HeldImages.load(tokens, memory_limit=memory_limit, workers=workers)

    def __getitem__(self, batch: Batch) -> tuple[SegmentTokens, torch.Tensor]:
        """Make one batch: tokens (B, N) and targets, (B,) or soft (B, classes)."""
        tokens, targets = collate([self._item(batch.epoch, index) for index in batch.indices])
        with seeded_stream(self._seed, _PER_BATCH, batch.epoch, batch.step, batch.group):
            if self._transform is not None:
                tokens = self._transform(tokens)
            if self._batch is not None:
                tokens, targets = self._batch(tokens, targets)
        return tokens, targets

    def _item(self, epoch: int, index: int) -> tuple[SegmentTokens, int]:
        if self._image is None:
            return self._tokens[index]
        source = self._tokens.source
        image = source.segmented(self._tokens.indices[index])[0] if self._held is None else self._held[index]
        with seeded_stream(self._seed, _PER_IMAGE, epoch, index):
            image = self._image(image)
        segmenter = source.segmenter
        if isinstance(segmenter, Segmenter) and not segmenter.depends_on_pixels:
            image = SegmentedImage(image.image, segmenter(image.image))
        return source.tokenize(image), self._tokens.targets[index]
