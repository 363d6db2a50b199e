"""Photos in a folder per class."""

import hashlib
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset
from torchvision import tv_tensors

from segaug._checks import check_flag, check_int, describe
from segaug._photos import open_photo
from segaug.data._pictures import BadImageError, Size, check_size, chosen, read_pixels, resized, size_key

__all__ = ["ImageFolder", "images_for_classes", "train_val_folders"]

# What Pillow reads everywhere; compared in lower case.
EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")


class ImageFolder(Dataset[tuple[tv_tensors.Image, int]]):
    """Images as ``FOLDER/CLASS/anything.jpg``, all resized to one size.

    Every image is read as RGB and resized (bilinear, antialiased) to ``size``, whatever its proportions.
    Classes are the sub-folders in the order of their names; images are found at any depth below them, behind links too. Files
    and folders whose names start with a dot are left out.

    Args:
        folder: The folder that holds one sub-folder per class.
        size: Height and width of the images in pixels: an int for both, or (height, width).
        limit_per_class: Use only so many images of each class, or all if None. Which ones depends on ``seed`` and on
            the files' names alone, and a higher limit only adds images.
        seed: Decides which images a limit keeps.
        classes: The classes' names in the order of their targets, for a folder that may hold only some of them; None
            takes the sub-folders.
        unsorted: Take all images below ``folder`` as they are, whatever sub-folders they are in, as one class of the
            folder's name; for training without labels.

    Attributes:
        folder: As given.
        size: As given; an int if height and width are equal.
        classes: The classes' names; a target is an index into them.
        paths: The files, one per item.
        targets: The items' classes, as indices.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it is no folder, holds no sub-folder or one that is not in ``classes``, a class holds no image, or
            there are ``classes`` for unsorted images.

    Example:
        >>> import tempfile
        >>> import PIL.Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("cat", "dog"):
        ...         (Path(folder) / name).mkdir()
        ...         PIL.Image.new("RGB", (40, 30)).save(Path(folder) / name / "1.png")
        ...     images = ImageFolder(folder, size=32)
        ...     len(images), images.classes, images[1][0].shape, images[1][1]
        (2, ['cat', 'dog'], torch.Size([3, 32, 32]), 1)
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        size: Size = 144,
        limit_per_class: int | None = None,
        seed: int = 0,
        classes: Sequence[str] | None = None,
        unsorted: bool = False,
    ) -> None:
        self.folder = Path(folder)
        self.size = check_size(size)
        if limit_per_class is not None:
            check_int("limit_per_class", limit_per_class, minimum=1)
        check_int("seed", seed, minimum=0)
        if check_flag("unsorted", unsorted) and classes is not None:
            raise ValueError(f"classes must be None for unsorted images, got {describe(classes)}")
        present = _unsorted_class(self.folder) if unsorted else _class_folders(self.folder)
        self.classes = list(present) if classes is None else _check_classes(self.folder, list(present), classes)
        self.paths: list[Path] = []
        self.targets: list[int] = []
        for target, name in enumerate(self.classes):
            if name not in present:
                continue
            paths = _images_below(present[name])
            if not paths:
                raise ValueError(
                    f"{'the' if unsorted else 'every class'} folder must hold at least one image "
                    f"({', '.join(EXTENSIONS)}), there is none in {present[name]}"
                )
            if limit_per_class is not None:
                names = [path.relative_to(self.folder).as_posix() for path in paths]
                paths = [paths[index] for index in chosen(names, limit_per_class, seed)]
            self.paths.extend(paths)
            self.targets.extend([target] * len(paths))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[tv_tensors.Image, int]:
        """Read one image.

        Args:
            index: From 0 to ``len(self) - 1``.

        Returns:
            The image, (3, height, width) uint8, and its class.

        Raises:
            BadImageError: If the file is missing or no image.
        """
        data = self._read(index)
        pixels = read_pixels(str(self.paths[index]), lambda: open_photo(io.BytesIO(data)))
        return resized(pixels, self.size), self.targets[index]

    def key(self, index: int) -> dict[str, Any]:
        """What item ``index``'s image depends on, for a :class:`~segaug.data.TokenStore`: content, not name or date.

        Args:
            index: From 0 to ``len(self) - 1``.

        Returns:
            A dict that JSON can hold.

        Raises:
            BadImageError: If the file cannot be read.
        """
        return {"file": hashlib.sha256(self._read(index)).hexdigest(), "size": size_key(self.size)}

    def _read(self, index: int) -> bytes:
        path = self.paths[index]
        try:
            return path.read_bytes()
        except OSError as error:
            raise BadImageError(f"cannot read {path}: {error.strerror or error}") from error

    def __repr__(self) -> str:
        return f"ImageFolder({str(self.folder)!r}, size={self.size}, classes={len(self.classes)}, images={len(self)})"


def train_val_folders(
    folder: str | Path, *, size: Size = 144, limit_per_class: int | None = None, seed: int = 0
) -> tuple[ImageFolder, ImageFolder]:
    """Open ``FOLDER/train/CLASS/*`` and ``FOLDER/val/CLASS/*``.

    Args:
        folder: The folder that holds ``train`` and ``val``.
        size: As for :class:`ImageFolder`.
        limit_per_class: As for :class:`ImageFolder`, of the training images alone.
        seed: As for :class:`ImageFolder`.

    Returns:
        The training and the validation images, with the same classes.

    Raises:
        FileNotFoundError: If the folder, or one of the two in it, is missing.
        ValueError: If one is empty, there are fewer than two classes, or the two do not have the same classes.
    """
    root = Path(folder)
    expected = f"expected {root}/train/CLASS/*.jpg and {root}/val/CLASS/*.jpg"
    if not root.exists():
        raise FileNotFoundError(f"there is no folder {root}; {expected}")
    if not root.is_dir():
        raise ValueError(f"{root} is no folder; {expected}")
    for split in ("train", "val"):
        if not (root / split).is_dir():
            raise FileNotFoundError(f"{root} has no folder {split}/; {expected}")
    train = ImageFolder(root / "train", size=size, limit_per_class=limit_per_class, seed=seed)
    val = ImageFolder(root / "val", size=size)
    if train.classes != val.classes:
        missing = sorted(set(train.classes) - set(val.classes))
        extra = sorted(set(val.classes) - set(train.classes))
        raise ValueError(
            f"{root}/train and {root}/val must hold the same classes; only in train: {missing}, only in val: {extra}"
        )
    if len(train.classes) < 2:
        raise ValueError(f"{root}/train must hold at least two class folders, got {train.classes}")
    return train, val


def images_for_classes(
    folder: str | Path,
    classes: Sequence[str],
    size: Size = 144,
    *,
    limit_per_class: int | None = None,
    seed: int = 0,
) -> ImageFolder:
    """Open ``FOLDER/CLASS/*`` for a model that knows ``classes``, to evaluate it on other photos than it was trained on.

    Args:
        folder: The folder that holds a sub-folder for each of the classes, or for some of them.
        classes: The model's classes, in its order.
        size: As for :class:`ImageFolder`.
        limit_per_class: As for :class:`ImageFolder`.
        seed: As for :class:`ImageFolder`.

    Returns:
        The images, with targets that index ``classes``.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it holds no class folders, one that is not in ``classes``, or one without images.

    Example:
        >>> import tempfile
        >>> import PIL.Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     (Path(folder) / "dog").mkdir()
        ...     PIL.Image.new("RGB", (40, 30)).save(Path(folder) / "dog" / "1.png")
        ...     images = images_for_classes(folder, ["cat", "dog"], size=32)
        ...     images.classes, images.targets
        (['cat', 'dog'], [1])
    """
    return ImageFolder(folder, size=size, limit_per_class=limit_per_class, seed=seed, classes=classes)


def _check_classes(folder: Path, present: Sequence[str], classes: Sequence[str]) -> list[str]:
    if isinstance(classes, str) or not all(isinstance(name, str) for name in classes):
        raise TypeError(f"classes must be a list of names, got {describe(classes)}")
    if len(set(classes)) < len(classes):
        raise ValueError(f"classes must differ, got {list(classes)}")
    unknown = [name for name in present if name not in classes]
    if unknown:
        # The usual slip: the folder above the one that was meant.
        splits = sorted({"train", "val"} & set(unknown))
        advice = f"; did you mean {folder / splits[-1]}?" if splits else ""
        raise ValueError(
            f"{folder} must hold only folders of the classes {_some(classes)}, got also {_some(unknown)}{advice}"
        )
    return list(classes)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:8])
    return shown if len(names) <= 8 else f"{shown}, ... ({len(names)} in all)"


def _class_folders(folder: Path) -> dict[str, Path]:
    """The classes' names, in order, and where their images are."""
    expected = f"expected {folder}/CLASS/*.jpg"
    _check_is_there(folder, expected)
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not names:
        raise ValueError(f"{folder} holds no class folders; {expected}")
    return {name: folder / name for name in names}


def _unsorted_class(folder: Path) -> dict[str, Path]:
    _check_is_there(folder, f"expected {folder}/*.jpg")
    return {folder.resolve().name: folder}


def _check_is_there(folder: Path, expected: str) -> None:
    if not folder.exists():
        raise FileNotFoundError(f"there is no folder {folder}; {expected}")
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; {expected}")


def _images_below(folder: Path) -> list[Path]:
    paths: list[Path] = []
    seen: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        # Links are followed, and not in circles.
        if (real := os.path.realpath(place)) in seen:
            folders.clear()
            continue
        seen.add(real)
        # What is hidden, an editor or a notebook keeps for itself.
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths += [Path(place, name) for name in files if not name.startswith(".")]
    return sorted(path for path in paths if path.suffix.lower() in EXTENSIONS and path.is_file())
