"""From images to tokens, with a store for what is slow."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, Protocol

import torch
from torch.utils.data import Dataset

from segaug._checks import describe
from segaug.data._store import TokenStore
from segaug.structures import SegmentedImage, SegmentMap, SegmentTokens
from segaug.transforms import Tokenize

__all__ = ["Images", "TokenDataset"]

# Raise it when what is stored changes its meaning, or segmenters give other maps for the same fingerprint: everything
# is then made again. A change of what Tokenize computes is noticed without it.
STORE_VERSION = 1


class Images(Protocol):
    """What :class:`TokenDataset` needs: a map-style dataset of images and classes that can tell items apart."""

    @property
    def classes(self) -> list[str]:
        """The classes' names."""

    @property
    def size(self) -> int:
        """Height and width of every image in pixels."""

    @property
    def targets(self) -> Sequence[int]:
        """The items' classes, as indices; known without reading an image."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> tuple[Any, int]:
        """An image (C, H, W), or a :class:`~segaug.SegmentedImage`, and its class."""

    def key(self, index: int, /) -> dict[str, Any]:
        """What the image depends on, as a dict that JSON can hold."""


class TokenDataset(Dataset[tuple[SegmentTokens, int]]):
    """Segment and tokenise the items of another dataset, once for each image.

    Args:
        images: The images and their classes.
        segmenter: Image to :class:`~segaug.SegmentMap`; None if the items are :class:`~segaug.SegmentedImage` and keep
            their own map. With a store it must have a ``fingerprint``, as all of :mod:`segaug.segmenters` do.
        tokenize: From segments to tokens.
        store: Where maps and tokens are kept between runs; None keeps nothing.

    Raises:
        TypeError: If there is a store and the segmenter does not say what its maps depend on.

    Example:
        >>> from segaug import Grid, Tokenize
        >>> from segaug.data import SceneImages, Scenes
        >>> images = SceneImages(Scenes("majority", n=10, size=64))
        >>> tokens, target = TokenDataset(images, None, Tokenize(size=8))[0]
        >>> tokens.patches.shape[1:]
        torch.Size([3, 8, 8])
        >>> tokens, target = TokenDataset(images, Grid(4, 4), Tokenize(size=8, background=False))[0]
        >>> tokens.num_tokens
        16
    """

    def __init__(
        self,
        images: Images,
        segmenter: Callable[[Any], SegmentMap] | None,
        tokenize: Tokenize,
        store: TokenStore | None = None,
    ) -> None:
        self.images = images
        self.segmenter = segmenter
        self.tokenize = tokenize
        self.store = store
        self._sample = _sample_tokens(tokenize)
        if store is not None and segmenter is not None and not hasattr(segmenter, "fingerprint"):
            raise TypeError(
                f"segmenter must have a fingerprint to be used with a store (derive it from segaug.Segmenter), "
                f"got {describe(segmenter)}"
            )

    @property
    def classes(self) -> list[str]:
        """The classes' names."""
        return self.images.classes

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[SegmentTokens, int]:
        """Return the tokens of item ``index`` and its class; from the store if they are there."""
        target = self.images.targets[index]
        if self.store is None:
            return self.tokenize(self.segmented(index)[0]), target
        options = {
            "size": self.tokenize.size,
            "max_segments": self.tokenize.max_segments,
            "background": self.tokenize.background,
            "sample": self._sample,
        }
        key = {**self._source(index), "kind": "tokens", "tokenize": options}
        stored = self.store.load(key)
        if stored is not None:
            return SegmentTokens(**stored), target
        tokens = self.tokenize(self.segmented(index)[0])
        self.store.save(key, {field.name: getattr(tokens, field.name) for field in fields(SegmentTokens)})
        return tokens, target

    def segmented(self, index: int) -> tuple[SegmentedImage, int]:
        """Return the image of item ``index`` with its segments, and its class; the map is stored like the tokens.

        Args:
            index: From 0 to ``len(self) - 1``.

        Returns:
            The image with its map, and the class.

        Raises:
            TypeError: If there is no segmenter and the item has no map.
        """
        image, target = self.images[index]
        if self.segmenter is None:
            if not isinstance(image, SegmentedImage):
                raise TypeError(f"images must give SegmentedImages if there is no segmenter, got {describe(image)}")
            return image, target
        if isinstance(image, SegmentedImage):
            image = image.image
        if self.store is None:
            return SegmentedImage(image, self._segment(index, image)), target
        key = {**self._source(index), "kind": "map"}
        stored = self.store.load(key)
        if stored is not None:
            return SegmentedImage(image, SegmentMap(stored["labels"])), target
        segments = self._segment(index, image)
        self.store.save(key, {"labels": _narrow(segments)})
        return SegmentedImage(image, segments), target

    def _segment(self, index: int, image: torch.Tensor) -> SegmentMap:
        try:
            return self.segmenter(image)  # type: ignore[misc]
        except Exception as error:
            # In a folder of thousands, the message alone does not lead to the picture.
            paths = getattr(self.images, "paths", None)
            name = f"item {index}" if paths is None else str(paths[index])
            if isinstance(error, TypeError | ValueError):
                raise type(error)(f"cannot segment {name}: {error}") from error
            error.add_note(f"raised while segmenting {name}")
            raise

    def _source(self, index: int) -> dict[str, Any]:
        # A segmenter with a fingerprint: __init__ has seen to it.
        fingerprint = None if self.segmenter is None else self.segmenter.fingerprint  # type: ignore[attr-defined]
        return {"version": STORE_VERSION, "image": self.images.key(index), "segmenter": fingerprint}


def _sample_tokens(tokenize: Tokenize) -> str:
    """A checksum of the tokens of a fixed picture: it changes when the code that makes tokens does."""
    y, x = torch.meshgrid(torch.arange(48), torch.arange(64), indexing="ij")
    image = torch.stack([(37 * y + 11 * x + 5 * y * x + 80 * c) % 256 for c in range(3)]).to(torch.uint8)
    # Stripes that cut blocks: segments of several sizes, larger and smaller than a patch, and some background.
    labels = (y // 21) * 4 + x // 19 + 20 * ((y + 2 * x) % 23 < 3)
    tokens = tokenize(SegmentedImage(image, SegmentMap(labels)))
    digest = hashlib.sha256()
    for field in fields(SegmentTokens):
        digest.update(getattr(tokens, field.name).as_subclass(torch.Tensor).numpy().tobytes())
    return digest.hexdigest()


def _narrow(segments: torch.Tensor) -> torch.Tensor:
    """Labels in the smallest integer type that holds them; most maps need one byte per pixel."""
    labels = segments.as_subclass(torch.Tensor)
    largest = int(labels.max()) if labels.numel() else 0
    for dtype in (torch.uint8, torch.int16, torch.int32):
        if largest <= torch.iinfo(dtype).max:
            return labels.to(dtype)
    return labels
