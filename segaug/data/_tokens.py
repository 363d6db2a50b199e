"""From images to tokens, with a store for what is slow."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, Protocol

import torch
from torch.utils.data import Dataset

from segaug._checks import describe
from segaug.data._store import TokenStore
from segaug.structures import SegmentedImage, SegmentMap, SegmentTokens, concatenate
from segaug.transforms import Tokenize

__all__ = ["Images", "TokenDataset"]

_Segmenter = Callable[[Any], SegmentMap] | None

# Raise it when what is stored changes its meaning, or segmenters give other maps for the same fingerprint: everything
# is then made again. A change of what Tokenize computes is noticed without it.
STORE_VERSION = 1


class Images(Protocol):
    """What :class:`TokenDataset` needs: a map-style dataset of images and classes that can tell items apart."""

    @property
    def classes(self) -> list[str]:
        """The classes' names."""

    @property
    def size(self) -> int | tuple[int, int]:
        """Height and width of every image in pixels, as one int if they are equal."""

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
            their own map. With a store it must have a ``fingerprint``, as all of :mod:`segaug.segmenters` do. Of a sequence
            of several, as a fine and a coarse one, an item has the tokens of each, joined by
            :func:`segaug.structures.concatenate`: foreground of all of them, the background token of the first.
        tokenize: From segments to tokens; ``max_segments`` holds for each segmenter.
        store: Where maps and tokens are kept between runs; None keeps nothing.

    Raises:
        TypeError: If a segmenter cannot be called, or there is a store and it does not say what its maps depend on.
        ValueError: If there is no segmenter in a sequence.

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
        segmenter: _Segmenter | Sequence[_Segmenter],
        tokenize: Tokenize,
        store: TokenStore | None = None,
    ) -> None:
        segmenters = tuple(segmenter) if isinstance(segmenter, list | tuple) else (segmenter,)
        if not segmenters:
            raise ValueError("segmenter must be one or several, got none")
        for one in segmenters:
            if one is not None and not callable(one):
                raise TypeError(f"segmenter must be callable, a list of callables or None, got {describe(one)}")
            if store is not None and one is not None and not hasattr(one, "fingerprint"):
                raise TypeError(
                    f"segmenter must have a fingerprint to be used with a store (derive it from segaug.Segmenter), "
                    f"got {describe(one)}"
                )
        self.images = images
        self.segmenter = segmenters[0] if len(segmenters) == 1 else segmenters
        self.tokenize = tokenize
        self.store = store
        self._segmenters = segmenters
        self._sample = _sample_tokens(tokenize)

    @property
    def classes(self) -> list[str]:
        """The classes' names."""
        return self.images.classes

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[SegmentTokens, int]:
        """Return the tokens of item ``index`` and its class; from the store if they are there."""
        parts = [self._tokens(index, segmenter) for segmenter in self._segmenters]
        return parts[0] if len(parts) == 1 else concatenate(parts), self.images.targets[index]

    def _tokens(self, index: int, segmenter: _Segmenter) -> SegmentTokens:
        """Give the tokens of one segmenter; stored alone, so that runs with it alone and with others share them."""
        if self.store is None:
            return self.tokenize(self._segmented(index, segmenter))
        options = {
            "size": self.tokenize.size,
            "max_segments": self.tokenize.max_segments,
            "background": self.tokenize.background,
            "sample": self._sample,
        }
        # Left out where they have their defaults: what was stored before there were these options is still good.
        for name, default in (("aspect", "stretch"), ("edges", "soft")):
            if getattr(self.tokenize, name) != default:
                options[name] = getattr(self.tokenize, name)
        key = {**self._source(index, segmenter), "kind": "tokens", "tokenize": options}
        stored = self.store.load(key)
        if stored is not None:
            return SegmentTokens(**stored)
        tokens = self.tokenize(self._segmented(index, segmenter))
        self.store.save(key, {field.name: getattr(tokens, field.name) for field in fields(SegmentTokens)})
        return tokens

    def segmented(self, index: int) -> tuple[SegmentedImage, int]:
        """Return the image of item ``index`` with its segments, and its class; the map is stored like the tokens.

        Args:
            index: From 0 to ``len(self) - 1``.

        Returns:
            The image with its map, and the class.

        Raises:
            TypeError: If there is no segmenter and the item has no map.
            ValueError: If there are several segmenters.
        """
        if len(self._segmenters) > 1:
            raise ValueError(
                f"segmenter must be a single one where an image goes with its segments, as for augmentation of whole "
                f"images (Recipe(image=...)), got {len(self._segmenters)}: augment tokens instead, or take one of them"
            )
        return self._segmented(index, self._segmenters[0]), self.images.targets[index]

    def _segmented(self, index: int, segmenter: _Segmenter) -> SegmentedImage:
        image, _ = self.images[index]
        if segmenter is None:
            if not isinstance(image, SegmentedImage):
                raise TypeError(f"images must give SegmentedImages if there is no segmenter, got {describe(image)}")
            return image
        if isinstance(image, SegmentedImage):
            image = image.image
        if self.store is None:
            return SegmentedImage(image, self._segment(index, image, segmenter))
        key = {**self._source(index, segmenter), "kind": "map"}
        stored = self.store.load(key)
        if stored is not None:
            return SegmentedImage(image, SegmentMap(stored["labels"]))
        segments = self._segment(index, image, segmenter)
        self.store.save(key, {"labels": _narrow(segments)})
        return SegmentedImage(image, segments)

    def _segment(self, index: int, image: torch.Tensor, segmenter: Callable[[Any], SegmentMap]) -> SegmentMap:
        try:
            return segmenter(image)
        except Exception as error:
            # In a folder of thousands, the message alone does not lead to the picture.
            paths = getattr(self.images, "paths", None)
            name = f"item {index}" if paths is None else str(paths[index])
            if isinstance(error, TypeError | ValueError):
                raise type(error)(f"cannot segment {name}: {error}") from error
            error.add_note(f"raised while segmenting {name}")
            raise

    def _source(self, index: int, segmenter: _Segmenter) -> dict[str, Any]:
        # A segmenter with a fingerprint: __init__ has seen to it.
        fingerprint = None if segmenter is None else segmenter.fingerprint  # type: ignore[attr-defined]
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
