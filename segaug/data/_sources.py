"""Training and validation images by name: drawn scenes, folders, torchvision's and Hugging Face's datasets."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

from segaug._checks import check_flag, check_int
from segaug.data._folder import train_val_folders
from segaug.data._hugging_face import open_hugging_face
from segaug.data._options import parse_options
from segaug.data._pictures import Size
from segaug.data._scenes import Scenes, scene_target
from segaug.data._tokens import Images
from segaug.data._torchvision_data import open_torchvision
from segaug.structures import SegmentedImage

__all__ = ["DataSplits", "SceneImages", "open_data"]

_SCENES, _TORCHVISION, _HUGGING_FACE = "scenes:", "torchvision:", "hf:"
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
        key: dict[str, Any] = {
            "scenes": [scenes.task, scenes.size, scenes.seed, self._numbers[index]],
            "drawing": self._drawing,
        }
        # Left out where they have their defaults: what was stored before there were these options is still good.
        if scenes.scale != 1:
            key["scale"] = scenes.scale
        if scenes.region is not None:
            key["region"] = scenes.region
        return key

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
    size: Size | None = None,
    limit_per_class: int | None = None,
    seed: int = 0,
    num_scenes: tuple[int, int] = (4000, 1000),
    download: bool = False,
    root: str | Path | None = None,
    train_split: str | None = None,
    val_split: str | None = None,
) -> DataSplits:
    """Open drawn scenes, a folder, or a dataset of torchvision or Hugging Face, by name.

    - ``"scenes:TASK"`` or ``"scenes:TASK,scale=0.6,region=left"``: :class:`~segaug.data.Scenes` with these options.
    - ``"torchvision:NAME"`` or ``"torchvision:NAME,OPTION=VALUE"``: a classification dataset of
      ``torchvision.datasets`` by its class's name, with options of its constructor. It is looked for in ``root``.
    - ``"hf:NAME_OR_PATH"`` or ``"hf:NAME_OR_PATH:CONFIG"``: what ``datasets.load_dataset`` opens by its name on the
      Hugging Face hub, or from a folder of images or parquet files, or one that ``save_to_disk`` wrote (extra
      ``datasets``). The columns of pictures and classes are those of type ``Image`` and ``ClassLabel``; where there are
      several, ``"hf:NAME,image=COLUMN,label=COLUMN"`` chooses.
    - anything else: a folder with ``train/CLASS/*.jpg`` and ``val/CLASS/*.jpg``.

    A dataset's split to train on is ``train`` (``trainval``, ``train-standard``), the one to validate on the first of
    ``val``, ``valid``, ``validation`` and ``test`` that it has (for Hugging Face, ``validation`` comes first). Of a
    dataset without splits a fifth of each class is held out for validation, always the same. Classes without any
    image are left out.

    Args:
        name: What to open.
        size: Height and width of the images in pixels: an int for both, or (height, width), which scenes do not take.
            None is 144, and 96 for scenes.
        limit_per_class: Train on only so many images of each class, or on all if None. Validation has all of them.
        seed: Which scenes are drawn for training (validation scenes are always the same), or which images a limit
            keeps.
        num_scenes: How many scenes to train on and to validate on; only scenes use it.
        download: Whether what is not there may be downloaded.
        root: Where torchvision's datasets are, or None for ``$XDG_CACHE_HOME/segaug/torchvision``; the cache of
            ``datasets``, or None for its own.
        train_split: Another split of a dataset to train on.
        val_split: Another split of a dataset to validate on.

    Returns:
        The images to train on and to validate on.

    Raises:
        TypeError: If an argument is of the wrong type, or an option is unknown or missing.
        FileNotFoundError: If there is no such folder, it has no ``train`` or ``val``, or a dataset is not there and
            ``download`` is False.
        OSError: If a download fails.
        ImportError: If a package that the dataset needs is not installed.
        ValueError: If an argument is out of range, there is no dataset or split of that name, the data are no
            classification data, or have no image, one class, or a class that only one of the splits has.
        BadImageError: If a dataset tells an item's class only with its picture, which cannot be read.

    Example:
        >>> splits = open_data("scenes:count", num_scenes=(20, 10))
        >>> len(splits.train), len(splits.val), splits.train.classes, splits.has_segments
        (20, 10, ['0', '1', '2', '3', '4'], True)
        >>> splits = open_data("torchvision:FakeData,size=30,image_size=(3,8,8),num_classes=2", size=16)
        >>> len(splits.train), len(splits.val), splits.train.size
        (25, 5, 16)
    """
    check_flag("download", download)
    text = str(name)
    options: dict[str, Any] = {
        "size": 144 if size is None else size,
        "limit_per_class": limit_per_class,
        "seed": seed,
    }
    places: dict[str, Any] = {"download": download, "train_split": train_split, "val_split": val_split}
    if text.startswith(_TORCHVISION):
        where = _default_root() if root is None else Path(root).expanduser()
        train, val = open_torchvision(text.removeprefix(_TORCHVISION), root=where, **options, **places)
        return DataSplits(train, val, has_segments=False)
    if text.startswith(_HUGGING_FACE):
        cache = None if root is None else Path(root).expanduser()
        train, val = open_hugging_face(text.removeprefix(_HUGGING_FACE), root=cache, **options, **places)
        return DataSplits(train, val, has_segments=False)
    for argument, value in (("root", root), ("train_split", train_split), ("val_split", val_split)):
        if value is not None:
            raise ValueError(f"{argument} must be None but for {_TORCHVISION} and {_HUGGING_FACE} data, got {value!r}")
    if text.startswith(_SCENES):
        return _open_scenes(text.removeprefix(_SCENES), 96 if size is None else size, limit_per_class, seed, num_scenes)
    folders = train_val_folders(Path(name), **options)
    return DataSplits(*folders, has_segments=False)


def _open_scenes(
    text: str, size: Any, limit_per_class: int | None, seed: int, num_scenes: tuple[int, int]
) -> DataSplits:
    if seed == _VALIDATION_SEED:
        raise ValueError(f"seed must be below 2**64 - 1, which draws the validation scenes, got {seed}")
    task, options = parse_options(text)
    for option in options:
        if option not in ("scale", "region"):
            raise TypeError(f"{_SCENES}{task} has the options scale, region, got {option!r}")
    train, val = (
        Scenes(task, count, size=size, seed=each, **options)
        for count, each in zip(num_scenes, (seed, _VALIDATION_SEED), strict=True)
    )
    return DataSplits(SceneImages(train, limit_per_class=limit_per_class), SceneImages(val), has_segments=True)


def _default_root() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "segaug" / "torchvision"


def _first_per_class(targets: Sequence[int], classes: int, limit: int) -> list[int]:
    left = [limit] * classes
    chosen = []
    for index, target in enumerate(targets):
        if left[target]:
            left[target] -= 1
            chosen.append(index)
    return chosen
