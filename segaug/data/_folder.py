"""Photos in a folder per class."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import PIL.Image
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from segaug._checks import check_int
from segaug._photos import open_photo

__all__ = ["BadImageError", "ImageFolder", "train_val_folders"]

# What Pillow reads everywhere; compared in lower case.
EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")


class BadImageError(ValueError):
    """A file that has an image's name and cannot be read as one. The message names it."""


class ImageFolder(Dataset[tuple[tv_tensors.Image, int]]):
    """Images as ``FOLDER/CLASS/anything.jpg``, all resized to squares of one size.

    Every image is read as RGB and resized (bilinear, antialiased) to ``size`` x ``size``, whatever its proportions.
    Classes are the sub-folders in the order of their names; images are found at any depth below them.

    Args:
        folder: The folder that holds one sub-folder per class.
        size: Height and width of the images in pixels.
        limit_per_class: Use only so many images of each class, or all if None. Which ones depends on ``seed`` and on
            the files' names alone, and a higher limit only adds images.
        seed: Decides which images a limit keeps.

    Attributes:
        folder: As given.
        size: As given.
        classes: The classes' names; a target is an index into them.
        paths: The files, one per item.
        targets: The items' classes, as indices.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it is no folder, holds no sub-folder, or a class holds no image.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("cat", "dog"):
        ...         (Path(folder) / name).mkdir()
        ...         PIL.Image.new("RGB", (40, 30)).save(Path(folder) / name / "1.png")
        ...     images = ImageFolder(folder, size=32)
        ...     len(images), images.classes, images[1][0].shape, images[1][1]
        (2, ['cat', 'dog'], torch.Size([3, 32, 32]), 1)
    """

    def __init__(
        self, folder: str | Path, *, size: int = 144, limit_per_class: int | None = None, seed: int = 0
    ) -> None:
        self.folder = Path(folder)
        self.size = check_int("size", size, minimum=1)
        if limit_per_class is not None:
            check_int("limit_per_class", limit_per_class, minimum=1)
        check_int("seed", seed, minimum=0)
        self.classes = _class_names(self.folder)
        self.paths: list[Path] = []
        self.targets: list[int] = []
        for target, name in enumerate(self.classes):
            paths = _images_below(self.folder / name)
            if not paths:
                raise ValueError(
                    f"every class folder must hold at least one image ({', '.join(EXTENSIONS)}), "
                    f"there is none in {self.folder / name}"
                )
            if limit_per_class is not None:
                paths = _chosen(paths, self.folder, limit_per_class, seed)
            self.paths.extend(paths)
            self.targets.extend([target] * len(paths))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[tv_tensors.Image, int]:
        """Read one image.

        Args:
            index: From 0 to ``len(self) - 1``.

        Returns:
            The image, (3, size, size) uint8, and its class.

        Raises:
            BadImageError: If the file is missing or no image.
        """
        return self._decode(self.paths[index], self._read(index)), self.targets[index]

    def key(self, index: int) -> dict[str, Any]:
        """What item ``index``'s image depends on, for a :class:`~segaug.data.TokenStore`: content, not name or date.

        Args:
            index: From 0 to ``len(self) - 1``.

        Returns:
            A dict that JSON can hold.

        Raises:
            BadImageError: If the file cannot be read.
        """
        return {"file": hashlib.sha256(self._read(index)).hexdigest(), "size": self.size}

    def _read(self, index: int) -> bytes:
        path = self.paths[index]
        try:
            return path.read_bytes()
        except OSError as error:
            raise BadImageError(f"cannot read {path}: {error.strerror or error}") from error

    def _decode(self, path: Path, data: bytes) -> tv_tensors.Image:
        try:
            pixels = F.pil_to_tensor(open_photo(io.BytesIO(data)))
        # Pillow raises nearly anything for a broken file: OSError, SyntaxError, ValueError, struct.error, ...
        except Exception as error:
            # Pillow names the buffer where it does not know the format; the path says more.
            unknown = isinstance(error, PIL.UnidentifiedImageError)
            reason = "not in a format that Pillow knows" if unknown else str(error)
            raise BadImageError(f"cannot read {path} as an image: {_short(reason)}") from error
        resized = F.resize(pixels, [self.size, self.size], antialias=True)
        return resized.as_subclass(tv_tensors.Image)

    def __repr__(self) -> str:
        return f"ImageFolder({str(self.folder)!r}, size={self.size}, classes={len(self.classes)}, images={len(self)})"


def train_val_folders(
    folder: str | Path, *, size: int = 144, limit_per_class: int | None = None, seed: int = 0
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


def _class_names(folder: Path) -> list[str]:
    expected = f"expected {folder}/CLASS/*.jpg"
    if not folder.exists():
        raise FileNotFoundError(f"there is no folder {folder}; {expected}")
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; {expected}")
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not names:
        raise ValueError(f"{folder} holds no class folders; {expected}")
    return names


def _images_below(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in EXTENSIONS and path.is_file() and not path.name.startswith(".")
    )


def _chosen(paths: Sequence[Path], folder: Path, limit: int, seed: int) -> list[Path]:
    """The first ``limit`` in an order that shuffles by name, so adding a file moves no other."""

    def rank(path: Path) -> str:
        return hashlib.sha256(f"{seed}/{path.relative_to(folder).as_posix()}".encode()).hexdigest()

    return sorted(sorted(paths, key=rank)[:limit])


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 120 else f"{line[:117]}..."
