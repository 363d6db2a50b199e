"""What all sets of pictures share: their size, how they are read, and which of them a limit keeps."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import PIL.Image
import torch
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from segaug._checks import check_int, describe

__all__ = ["BadImageError", "Size", "check_size", "chosen", "read_pixels", "resized", "size_key"]

Size = int | tuple[int, int]


class BadImageError(ValueError):
    """A file, or a dataset's item, that should be an image and cannot be read as one. The message names it."""


def check_size(size: Any) -> Size:
    """Return ``size`` if it is an int, or (height, width), of at least 1; equal ones come back as an int."""
    if not isinstance(size, tuple | list):
        return check_int("size", size, minimum=1)
    if len(size) != 2:
        raise ValueError(f"size must be an int or (height, width), got {describe(size)}")
    height, width = (check_int("size", side, minimum=1) for side in size)
    return height if height == width else (height, width)


def size_key(size: Size) -> int | list[int]:
    """The size as JSON gives it back."""
    return size if isinstance(size, int) else list(size)


def read_pixels(name: str, read: Callable[[], PIL.Image.Image]) -> torch.Tensor:
    """The RGB picture that ``read`` gives, as (3, H, W) uint8; BadImageError with ``name`` if it fails."""
    try:
        return F.pil_to_tensor(read())
    # Pillow raises nearly anything for a broken file: OSError, SyntaxError, ValueError, struct.error, ...
    except Exception as error:
        # Pillow names the buffer where it does not know the format; the name says more.
        unknown = isinstance(error, PIL.UnidentifiedImageError)
        reason = "not in a format that Pillow knows" if unknown else str(error)
        raise BadImageError(f"cannot read {name} as an image: {_short(reason)}") from error


def resized(pixels: torch.Tensor, size: Size) -> tv_tensors.Image:
    """The picture at ``size``, bilinear and antialiased, whatever its proportions."""
    sides = [size, size] if isinstance(size, int) else list(size)
    return F.resize(pixels, sides, antialias=True).as_subclass(tv_tensors.Image)


def chosen(names: Sequence[str], limit: int, seed: int | str) -> list[int]:
    """Where the first ``limit`` are in an order that shuffles by name, so that one more name moves no other."""

    def rank(index: int) -> str:
        return hashlib.sha256(f"{seed}/{names[index]}".encode()).hexdigest()

    return sorted(sorted(range(len(names)), key=rank)[:limit])


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 120 else f"{line[:117]}..."
