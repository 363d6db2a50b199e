"""Read photos as a person sees them."""

from typing import IO

import PIL.Image
import PIL.ImageOps

__all__ = ["as_rgb", "open_photo"]

# More than eight bits a channel: Pillow's conversion would clip them to white.
_DEEP_MODES = ("F", "I")


def open_photo(file: str | IO[bytes]) -> PIL.Image.Image:
    """Open a photo as RGB, turned as its EXIF data say.

    Args:
        file: A path, or an open binary file.

    Returns:
        An RGB image.

    Raises:
        ValueError: If the picture has more than eight bits per channel.
        OSError: As Pillow does, if it cannot be read.
    """
    with PIL.Image.open(file) as picture:
        return as_rgb(picture)


def as_rgb(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Give a picture as RGB, turned as its EXIF data say.

    Args:
        picture: A picture of any mode.

    Returns:
        An RGB image.

    Raises:
        ValueError: If the picture has more than eight bits per channel.
        OSError: As Pillow does, if it cannot be read.
    """
    if picture.mode.partition(";")[0] in _DEEP_MODES:
        raise ValueError(f"mode {picture.mode} has more than 8 bits per channel; convert it to 8 bits first")
    # Cameras store the photo as the sensor lay, and how to turn it.
    return PIL.ImageOps.exif_transpose(picture).convert("RGB")
