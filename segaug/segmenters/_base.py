"""What all segmenters share: reading the image, naming their options, and labels 1..S."""

import hashlib
import inspect
from abc import ABC, abstractmethod
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
import PIL.Image
import torch
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from segaug._checks import check_unit_range, describe
from segaug.structures import SegmentMap

__all__ = ["Segmenter"]

_PIL_MODES = ("L", "RGB")


class Segmenter(ABC):
    """Base of the segmenters: ``segmenter(image)`` gives the image's :class:`~segaug.SegmentMap`.

    Any callable from an image to a map can stand in :class:`~segaug.transforms.Segment`. A subclass also says what its
    maps depend on, so that they can be stored. It passes every argument of its constructor to this constructor, and
    overrides :meth:`segment`.

    Args:
        **options: The arguments of the subclass's constructor, as values that JSON can hold.

    Attributes:
        depends_on_pixels: Whether the map depends on what is in the image and not on its size alone. A class whose maps
            do not sets it to False: such a map is made after an image was cropped or flipped, and not cropped with it.

    Example:
        >>> class TopAndBottom(Segmenter):
        ...     def __init__(self, top: int) -> None:
        ...         super().__init__(top=top)
        ...         self.top = top
        ...
        ...     def segment(self, image: torch.Tensor) -> torch.Tensor:
        ...         labels = torch.full(image.shape[-2:], 2)
        ...         labels[: self.top] = 1
        ...         return labels
        >>> TopAndBottom(1)
        TopAndBottom(top=1)
        >>> TopAndBottom(1)(torch.zeros(3, 2, 4, dtype=torch.uint8)).tolist()
        [[1, 1, 1, 1], [2, 2, 2, 2]]
    """

    depends_on_pixels: bool = True

    # Distributions (as pip names them) whose release decides what the maps look like.
    _distributions: tuple[str, ...] = ()

    def __init__(self, **options: Any) -> None:
        self._options = options

    @abstractmethod
    def segment(self, image: torch.Tensor) -> torch.Tensor:
        """Label the pixels of one image. Called by the segmenter itself, with an image that it has checked.

        Args:
            image: (C, H, W) uint8 on the CPU, contiguous, C 1 or 3. It must not be changed.

        Returns:
            Integer labels (H, W); 0 is in no segment.
        """

    def __call__(self, image: torch.Tensor | PIL.Image.Image) -> SegmentMap:
        """Segment one image.

        Args:
            image: A tensor or ``tv_tensors.Image`` of shape (C, H, W) with 1 (grey) or 3 (RGB) channels, uint8 or float
                in [0, 1] (rounded to 8 bits); or a PIL image of mode L or RGB.

        Returns:
            The map, (H, W) int64, on the image's device.

        Raises:
            TypeError: If ``image`` is no image, or of another dtype.
            ValueError: If it has another shape, number of channels or mode, no pixels, or floats outside [0, 1].
        """
        pixels = _as_uint8(image)
        labels = self.segment(pixels)
        if labels.shape != pixels.shape[-2:]:
            raise ValueError(
                f"{type(self).__name__}.segment must return labels of shape {tuple(pixels.shape[-2:])}, "
                f"got {describe(labels)}"
            )
        device = image.device if isinstance(image, torch.Tensor) else None
        return SegmentMap(labels, device=device)

    @property
    def options(self) -> dict[str, Any]:
        """Every argument of the constructor, defaults included; ``type(s)(**s.options)`` makes an equal segmenter."""
        return dict(self._options)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What the maps depend on besides the image: class, options, and releases of the packages that do the work.

        For a segmenter of your own also its source, so that maps are made anew after a change of the class. What it
        calls elsewhere is not seen: give such code a version among the options.

        Two segmenters with equal fingerprints give equal maps, so a store of maps keys its entries by it. JSON can
        hold it.
        """
        fingerprint: dict[str, Any] = {
            "segmenter": type(self).__name__,
            "options": self.options,
            "versions": {name: _version(name) for name in self._distributions},
        }
        if type(self).__module__.partition(".")[0] != "segaug":
            fingerprint["code"] = _code_of(type(self))
        return fingerprint

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self._options.items())
        return f"{type(self).__name__}({arguments})"


# Asked for each image that is stored, and found by reading a file.
_version = cache(version)


def _as_uint8(image: Any) -> torch.Tensor:
    """Check an image and give it as (C, H, W) uint8 on the CPU, contiguous; maybe the caller's own memory."""
    if isinstance(image, PIL.Image.Image):
        if image.mode not in _PIL_MODES:
            raise ValueError(
                f'image must be a PIL image of mode L or RGB, got mode {image.mode}; use image.convert("RGB")'
            )
        pixels = F.pil_to_tensor(image)
    elif isinstance(image, torch.Tensor) and (
        isinstance(image, tv_tensors.Image) or not isinstance(image, tv_tensors.TVTensor)
    ):
        pixels = image.detach().as_subclass(torch.Tensor)
    else:
        raise TypeError(f"image must be a tensor (C, H, W), a tv_tensors.Image or a PIL image, got {describe(image)}")
    if pixels.ndim != 3:
        raise ValueError(f"image must have shape (C, H, W), one image at a time, got {describe(pixels)}")
    if pixels.shape[0] not in (1, 3):
        raise ValueError(f"image must have 1 (grey) or 3 (RGB) channels, got {describe(pixels)}")
    if pixels.numel() == 0:
        raise ValueError(f"image must have at least one pixel, got {describe(pixels)}")
    if pixels.is_floating_point():
        check_unit_range("image", pixels)
        # At least float32: half precision cannot tell the 256 values apart after the multiplication.
        pixels = (pixels.to(torch.promote_types(pixels.dtype, torch.float32)) * 255).round().to(torch.uint8)
    elif pixels.dtype != torch.uint8:
        raise TypeError(f"image must be uint8, or float in [0, 1], got {describe(pixels)}")
    return pixels.cpu().contiguous()


def as_rgb_array(image: torch.Tensor) -> np.ndarray:
    """(C, H, W) uint8 to a contiguous (H, W, 3) array for scikit-image and Segment Anything.

    Grey becomes three equal channels: a grey photo then has the same segments whether it is stored as grey or as RGB,
    and options that are compared with colour distances (scale, compactness) keep their meaning.
    """
    array: np.ndarray = image.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()
    return array


def consecutive(labels: np.ndarray) -> torch.Tensor:
    """Number integer labels anew, 1..S in the same order. Every value is taken for a segment, 0 too."""
    offsets = labels.astype(np.int64, copy=False) - labels.min()
    # A table and not np.unique: labels of segmenters are small, and sorting all pixels takes ten times as long.
    rank = np.cumsum(np.bincount(offsets.ravel()) > 0)
    return torch.from_numpy(rank[offsets])


def tidy_number(value: float) -> int | float:
    """Write 60.0 as 60, so that ``scale=60`` and ``scale=60.0`` are the same option."""
    return int(value) if value.is_integer() else value


def _code_of(kind: type) -> str:
    """A checksum of where a class is defined and how it is written, that of its bases outside segaug included."""
    digest = hashlib.sha256()
    for base in kind.__mro__:
        if base.__module__.partition(".")[0] in ("segaug", "builtins"):
            continue
        try:
            source = inspect.getsource(base)
        except (OSError, TypeError):
            # Typed into a session: its compiled methods are all that there is.
            source = repr([value.__code__.co_code for value in vars(base).values() if inspect.isfunction(value)])
        digest.update(f"{base.__module__}.{base.__qualname__}\n{source}\n".encode())
        # Closures are not in the source.
        for value in vars(base).values():
            if inspect.isfunction(value):
                cells = [
                    cell.cell_contents for cell in value.__closure__ or () if not inspect.isclass(cell.cell_contents)
                ]
                digest.update(repr((value.__defaults__, value.__kwdefaults__, cells)).encode())
    return digest.hexdigest()
