"""Decoded images and their maps, kept in memory."""

from typing import Self

import torch
from torch.utils.data import DataLoader, Dataset

from segaug.data._token_set import TokenSet
from segaug.data._tokens import _narrow
from segaug.structures import SegmentedImage, SegmentMap

__all__ = ["HeldImages"]


class HeldImages:
    """The images of a token set with their maps, in two tensors, which processes that are forked share.

    Args:
        images: (n, C, H, W) uint8.
        maps: (n, H, W), the narrowest integers that hold the labels.
    """

    def __init__(self, images: torch.Tensor, maps: torch.Tensor) -> None:
        self._images = images
        self._maps = maps

    @classmethod
    def load(cls, tokens: TokenSet, *, memory_limit: int, workers: int = 0) -> Self | None:
        """Read all images, or give None if they take more bytes, are not all of one shape, or no uint8."""
        loader = DataLoader(
            _Pixels(tokens),
            batch_size=None,
            num_workers=workers,
            # The loader draws a seed for its workers; not from the caller's generator.
            generator=torch.Generator().manual_seed(0),
        )
        images, maps = torch.empty(0), torch.empty(0)
        for index, loaded in enumerate(loader):
            if isinstance(loaded, Exception):
                raise loaded
            image, segments = loaded
            if not index:
                # Before they are allocated, as they may be more than there is.
                if len(tokens) * (image.nbytes + segments.nbytes) > memory_limit:
                    return None
                images = torch.empty((len(tokens), *image.shape), dtype=image.dtype)
                maps = torch.empty((len(tokens), *segments.shape), dtype=segments.dtype)
            if image.dtype != torch.uint8 or image.shape != images.shape[1:]:
                return None
            dtype = torch.promote_types(maps.dtype, segments.dtype)
            if images.nbytes + maps.numel() * dtype.itemsize > memory_limit:
                return None
            maps = maps.to(dtype)
            images[index], maps[index] = image, segments
        return cls(images, maps)

    def __getitem__(self, index: int) -> SegmentedImage:
        """A copy of image ``index``, with its map."""
        return SegmentedImage(self._images[index].clone(), SegmentMap(self._maps[index]))


class _Pixels(Dataset[tuple[torch.Tensor, torch.Tensor] | Exception]):
    def __init__(self, tokens: TokenSet) -> None:
        self._tokens = tokens

    def __len__(self) -> int:
        return len(self._tokens)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor] | Exception:
        try:
            image, _ = self._tokens.source.segmented(self._tokens.indices[index])
        except (OSError, TypeError, ValueError) as error:
            # Returned, not raised: from a worker it would arrive with the worker's traceback in its message.
            return error
        return image.image.as_subclass(torch.Tensor), _narrow(image.segments)
