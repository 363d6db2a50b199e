"""The images of any map-style dataset of pictures and classes."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import PIL.Image
import torch
from torch.utils.data import Dataset
from torchvision import tv_tensors

from segaug._checks import check_int, describe
from segaug._photos import as_rgb
from segaug.data._pictures import BadImageError, Size, check_size, chosen, read_pixels, resized, size_key

__all__ = ["DatasetImages", "as_targets", "places_by_class", "read_targets"]


class DatasetImages(Dataset[tuple[tv_tensors.Image, int]]):
    """Images of another dataset, of those in ``torchvision.datasets`` for example, all resized to one size.

    Every picture is turned to RGB and resized (bilinear, antialiased) to ``size``, whatever its proportions, as
    :class:`ImageFolder` does.

    Args:
        dataset: A map-style dataset whose items are (PIL image, class), the class an int from 0.
        classes: The classes' names; a target is an index into them.
        size: Height and width of the images in pixels: an int for both, or (height, width).
        targets: The class of every item of ``dataset``, as indices; None reads every item once to know them.
        indices: Use only these items of ``dataset``, or all if None.
        limit_per_class: Use only so many images of each class, or all if None. Which ones depends on ``seed`` and on
            the items' indices alone, and a higher limit only adds images.
        seed: Decides which images a limit keeps.
        name: What messages call the dataset.

    Attributes:
        dataset: As given.
        classes: As given.
        size: As given; an int if height and width are equal.
        indices: The items' indices in ``dataset``.
        targets: The items' classes, as indices.
        name: As given.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If a target is no int or no index into ``classes``, or an argument is out of range.
        BadImageError: If ``targets`` is None and an item cannot be read.

    Example:
        >>> from torchvision.datasets import FakeData
        >>> images = DatasetImages(FakeData(6, (3, 20, 30), num_classes=2), ["cat", "dog"], size=16)
        >>> image, target = images[0]
        >>> len(images), image.shape, target == images.targets[0]
        (6, torch.Size([3, 16, 16]), True)
    """

    def __init__(
        self,
        dataset: Any,
        classes: Sequence[str],
        *,
        size: Size = 144,
        targets: Sequence[int] | None = None,
        indices: Sequence[int] | None = None,
        limit_per_class: int | None = None,
        seed: int = 0,
        name: str = "the dataset",
    ) -> None:
        self.dataset = dataset
        self.classes = list(classes)
        self.size = check_size(size)
        self.name = name
        if limit_per_class is not None:
            check_int("limit_per_class", limit_per_class, minimum=1)
        check_int("seed", seed, minimum=0)
        every = read_targets(dataset, name) if targets is None else as_targets(targets)
        if every is None or len(every) != len(dataset):
            raise ValueError(f"targets must be an int for each of the {len(dataset)} items, got {describe(targets)}")
        self.indices = list(range(len(every))) if indices is None else [int(index) for index in indices]
        self.targets = [every[index] for index in self.indices]
        for target in set(self.targets):
            if not 0 <= target < len(self.classes):
                raise ValueError(f"targets must be from 0 to {len(self.classes) - 1}, got {target} in {name}")
        if limit_per_class is not None:
            self._keep(limit_per_class, seed)

    def _keep(self, limit: int, seed: int) -> None:
        kept: list[int] = []
        for places in places_by_class(self.targets).values():
            names = [str(self.indices[place]) for place in places]
            kept.extend(places[choice] for choice in chosen(names, limit, seed))
        kept.sort()
        self.indices = [self.indices[place] for place in kept]
        self.targets = [self.targets[place] for place in kept]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[tv_tensors.Image, int]:
        """Read one image.

        Args:
            index: From 0 to ``len(self) - 1``.

        Returns:
            The image, (3, height, width) uint8, and its class.

        Raises:
            BadImageError: If the item cannot be read or is no picture.
        """
        return resized(self._pixels(index), self.size), self.targets[index]

    def key(self, index: int) -> dict[str, Any]:
        """What item ``index``'s image depends on, for a :class:`~segaug.data.TokenStore`: its pixels, not its place.

        Args:
            index: From 0 to ``len(self) - 1``.

        Returns:
            A dict that JSON can hold.

        Raises:
            BadImageError: If the item cannot be read or is no picture.
        """
        pixels = self._pixels(index)
        # Two pictures of other proportions may have the same bytes.
        digest = hashlib.sha256(repr(tuple(pixels.shape)).encode())
        digest.update(pixels.numpy().tobytes())
        return {"pixels": digest.hexdigest(), "size": size_key(self.size)}

    def _pixels(self, index: int) -> torch.Tensor:
        number = self.indices[index]

        def read() -> PIL.Image.Image:
            picture = self.dataset[number][0]
            if not isinstance(picture, PIL.Image.Image):
                raise TypeError(f"it must be a PIL image, got {describe(picture)}")
            return as_rgb(picture)

        return read_pixels(f"item {number} of {self.name}", read)

    def __repr__(self) -> str:
        return f"DatasetImages({self.name!r}, size={self.size}, classes={len(self.classes)}, images={len(self)})"


def as_targets(values: Any) -> list[int] | None:
    """The values as ints, one per item; None if they are anything else."""
    if isinstance(values, torch.Tensor):
        values = values.numpy()
    try:
        array = np.asarray(values)
    except ValueError:
        # Lists of other lengths.
        return None
    if array.ndim != 1 or (len(array) and not np.issubdtype(array.dtype, np.integer)):
        return None
    return [int(value) for value in array]


def read_targets(dataset: Any, name: str) -> list[int]:
    """The class of every item, from the items; ValueError if they are no ints, BadImageError if one cannot be read."""
    targets = []
    for index in range(len(dataset)):
        try:
            item = dataset[index]
        except Exception as error:
            raise BadImageError(f"cannot read item {index} of {name}, which alone tells its class: {error}") from error
        target = item[1] if isinstance(item, tuple | list) and len(item) == 2 else None
        values = as_targets([target])
        if values is None:
            raise ValueError(
                f"{name} is no classification data: its items must be a picture and an int, got {describe(item)}"
            )
        targets.extend(values)
    return targets


def places_by_class(targets: Iterable[int]) -> dict[int, list[int]]:
    """Where each class is."""
    places: dict[int, list[int]] = {}
    for place, target in enumerate(targets):
        places.setdefault(target, []).append(place)
    return places
