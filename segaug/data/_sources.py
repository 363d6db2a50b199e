"""Training and validation images by name: drawn scenes, or a folder."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

from segaug._checks import check_int
from segaug.data._folder import train_val_folders
from segaug.data._scenes import Scenes, scene_target
from segaug.data._tokens import Images
from segaug.structures import SegmentedImage

__all__ = ["DataSplits", "SceneImages", "open_data"]

_SCENES = "scenes:"
# The same validation scenes for every run; a training seed that meets it is refused.
_VALIDATION_SEED = 2**64 - 1


@dataclass(frozen=True)
class DataSplits:
    """What to train on and what to validate on.

    Args:
        train: Images to train on.
        val: Images to validate on, with the same classes.
        has_segments: Whether the images bring their own :class:`~segaug.SegmentMap`.
    """

    train: Images
    val: Images
    has_segments: bool


class SceneImages(Dataset[tuple[SegmentedImage, int]]):
    """:class:`~segaug.data.Scenes` that :class:`~segaug.data.TokenDataset` can store the tokens of.

    Args:
        scenes: The scenes.
        limit_per_class: Use only the first so many of each class, or all if None.

    Raises:
        ValueError: If ``limit_per_class`` is below 1.

    Example:
        >>> images = SceneImages(Scenes("relation", n=20, size=64), limit_per_class=3)
        >>> len(images), sorted(images.targets)
        (6, [0, 0, 0, 1, 1, 1])
    """

    def __init__(self, scenes: Scenes, *, limit_per_class: int | None = None) -> None:
        self.scenes = scenes
        self.classes = scenes.classes
        self.size = scenes.size
        self._numbers = list(range(len(scenes)))
        self.targets = [scene_target(scenes, i) for i in self._numbers]
        if limit_per_class is not None:
            check_int("limit_per_class", limit_per_class, minimum=1)
            self._numbers = _first_per_class(self.targets, len(self.classes), limit_per_class)
            self.targets = [self.targets[i] for i in self._numbers]

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> tuple[SegmentedImage, int]:
        """Draw one scene."""
        return self.scenes[self._numbers[index]]

    def key(self, index: int) -> dict[str, Any]:
        """What item ``index`` depends on, as a dict that JSON can hold."""
        scenes = self.scenes
        return {
            "scenes": [scenes.task, scenes.size, scenes.seed, self._numbers[index]],
            "drawing": self._drawing,
        }

    @cached_property
    def _drawing(self) -> str:
        """A checksum of the first scene: if the way scenes are drawn ever changes, stored tokens are made again."""
        scene, target = self.scenes[0]
        digest = hashlib.sha256(str(target).encode())
        for tensor in (scene.image, scene.segments):
            digest.update(tensor.as_subclass(torch.Tensor).numpy().tobytes())
        return digest.hexdigest()


def open_data(
    name: str | Path,
    *,
    size: int | None = None,
    limit_per_class: int | None = None,
    seed: int = 0,
    num_scenes: tuple[int, int] = (4000, 1000),
) -> DataSplits:
    """Open ``scenes:TASK`` or a folder with ``train/CLASS/*.jpg`` and ``val/CLASS/*.jpg``.

    Args:
        name: ``"scenes:count"``, ``"scenes:majority"``, ``"scenes:relation"``, ``"scenes:orientation"``, or a folder.
        size: Height and width of the images in pixels; None is 144 for folders, 96 for scenes.
        limit_per_class: Train on only so many images of each class, or on all if None. Validation has all of them.
        seed: Which scenes are drawn for training (validation scenes are always the same), or which images of a folder
            a limit keeps.
        num_scenes: How many scenes to train on and to validate on; folders do without.

    Returns:
        The images to train on and to validate on.

    Raises:
        TypeError: If an argument is of the wrong type.
        FileNotFoundError: If there is no such folder, or it has no ``train`` or ``val``.
        ValueError: If an argument is out of range, or the folder is empty, has one class, or has other classes for
            validation.

    Example:
        >>> splits = open_data("scenes:count", num_scenes=(20, 10))
        >>> len(splits.train), len(splits.val), splits.train.classes, splits.has_segments
        (20, 10, ['0', '1', '2', '3', '4'], True)
    """
    text = str(name)
    if not text.startswith(_SCENES):
        train, val = train_val_folders(
            Path(name), size=144 if size is None else size, limit_per_class=limit_per_class, seed=seed
        )
        return DataSplits(train, val, has_segments=False)
    if seed == _VALIDATION_SEED:
        raise ValueError(f"seed must be below 2**64 - 1, which draws the validation scenes, got {seed}")
    size = 96 if size is None else size
    task = text.removeprefix(_SCENES)
    train_scenes = SceneImages(Scenes(task, num_scenes[0], size=size, seed=seed), limit_per_class=limit_per_class)
    return DataSplits(
        train_scenes, SceneImages(Scenes(task, num_scenes[1], size=size, seed=_VALIDATION_SEED)), has_segments=True
    )


def _first_per_class(targets: Sequence[int], classes: int, limit: int) -> list[int]:
    left = [limit] * classes
    chosen = []
    for index, target in enumerate(targets):
        if left[target]:
            left[target] -= 1
            chosen.append(index)
    return chosen
