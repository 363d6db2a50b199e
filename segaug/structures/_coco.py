"""Reading COCO's ways of storing segments, as plain tensors."""

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import PIL.Image
import torch

from segaug._checks import check_int, describe
from segaug._optional import require

__all__ = ["annotations_to_masks", "panoptic_to_labels"]

# pycocotools draws polygons in 32-bit integers at five times the scale, and its memory grows with the outline's length.
_LARGEST_COORDINATE = 100_000


def panoptic_to_labels(png: Any) -> torch.Tensor:
    """Turn the colours of a COCO panoptic picture into segment ids: R + 256 G + 65536 B (COCO data format, section 4).

    Args:
        png: A path, a PIL image of mode RGB, a uint8 array (H, W, 3) or a uint8 tensor (3, H, W).

    Returns:
        The ids, (H, W) int64; 0 is unlabelled.

    Raises:
        TypeError: If ``png`` is none of these, or not uint8.
        ValueError: If it has another shape or mode, is a JPEG (whose colours are no longer the ids), or is a file that
            cannot be read as a picture.
        FileNotFoundError: If there is no file at the path.

    Example:
        >>> panoptic_to_labels(torch.tensor([[[5]], [[1]], [[2]]], dtype=torch.uint8)).tolist()
        [[131333]]
    """
    if isinstance(png, str | os.PathLike):
        colours = _read_png(png)
    elif isinstance(png, PIL.Image.Image):
        colours = _pil_colours(png, "png")
    elif isinstance(png, np.ndarray):
        if png.dtype != np.uint8:
            raise TypeError(f"png must be a uint8 array (H, W, 3), got {describe(png)}")
        if png.ndim != 3 or png.shape[2] != 3:
            raise ValueError(f"png must be an array of shape (H, W, 3), got {describe(png)}")
        # A copy: torch cannot hold read-only or negatively strided arrays.
        colours = torch.from_numpy(png.copy()).permute(2, 0, 1)
    elif isinstance(png, torch.Tensor):
        if png.dtype != torch.uint8:
            raise TypeError(f"png must be a uint8 tensor (3, H, W), got {describe(png)}")
        if png.ndim != 3 or png.shape[0] != 3:
            raise ValueError(f"png must be a tensor of shape (3, H, W), got {describe(png)}")
        colours = png.as_subclass(torch.Tensor)
    else:
        raise TypeError(
            "png must be a path, an RGB PIL image, a uint8 array (H, W, 3) or a uint8 tensor (3, H, W), "
            f"got {describe(png)}"
        )
    red, green, blue = colours.long()
    return red + 256 * green + 65536 * blue


def annotations_to_masks(annotations: Sequence[Mapping[str, Any]], height: int, width: int) -> torch.Tensor:
    """Draw the segments of COCO annotations.

    Polygons are drawn by pycocotools (extra ``segmenters``), to the same pixels as in COCO's evaluation. What a polygon
    has outside the canvas is cut off.

    Args:
        annotations: COCO annotation dicts. Their ``"segmentation"`` is a list of polygons ``[x0, y0, x1, y1, ...]`` in
            pixels, an RLE ``{"size": [height, width], "counts": [...]}`` (column by column, starting with zeros), or
            the same with ``counts`` as COCO's compressed string or bytes. Crowds are drawn like the others.
        height: Height of the image in pixels.
        width: Width of the image in pixels.

    Returns:
        The masks, (N, height, width) bool, in the order of the annotations.

    Raises:
        TypeError: If ``annotations`` is no sequence of dicts.
        ValueError: If a segmentation is missing or malformed, or an RLE is of another size.
        ImportError: If there are polygons and pycocotools is not installed.

    Example:
        >>> annotations_to_masks([{"segmentation": {"size": [2, 3], "counts": [1, 2, 3]}}], 2, 3).int().tolist()
        [[[0, 1, 0], [1, 0, 0]]]
    """
    check_int("height", height, minimum=1)
    check_int("width", width, minimum=1)
    if isinstance(annotations, str | bytes | Mapping) or not isinstance(annotations, Sequence):
        raise TypeError(f"annotations must be a list of COCO annotation dicts, got {describe(annotations)}")
    masks = np.zeros((len(annotations), height, width), dtype=bool)
    for i, annotation in enumerate(annotations):
        name = f"annotations[{i}]"
        if not isinstance(annotation, Mapping):
            raise TypeError(f"{name} must be a dict, got {describe(annotation)}")
        if "segmentation" not in annotation:
            raise ValueError(f'{name} must have a "segmentation", got the keys {sorted(map(str, annotation))}')
        segmentation = annotation["segmentation"]
        name = f'{name}["segmentation"]'
        if isinstance(segmentation, Mapping):
            masks[i] = _rle_mask(segmentation, height, width, name)
        elif isinstance(segmentation, list | tuple):
            masks[i] = _polygon_mask(segmentation, height, width, name)
        else:
            raise ValueError(f"{name} must be a list of polygons or an RLE dict, got {describe(segmentation)}")
    return torch.from_numpy(masks)


def _read_png(path: str | os.PathLike[str]) -> torch.Tensor:
    try:
        with PIL.Image.open(path) as picture:
            return _pil_colours(picture, f"png ({os.fspath(path)})")
    except FileNotFoundError as error:
        raise FileNotFoundError(f"png must be the path of a picture, found no file at {os.fspath(path)}") from error
    # Pillow raises SyntaxError for broken PNG chunks, and OSError for the rest.
    except (OSError, SyntaxError) as error:
        raise ValueError(f"png must be a picture that Pillow can read, {os.fspath(path)} is not: {error}") from error


def _pil_colours(picture: PIL.Image.Image, name: str) -> torch.Tensor:
    if picture.format == "JPEG":
        raise ValueError(f"{name} must be stored without loss, got a JPEG: its colours are not the segment ids")
    if picture.mode != "RGB":
        raise ValueError(f"{name} must be of mode RGB, got mode {picture.mode}")
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


def _rle_mask(rle: Mapping[str, Any], height: int, width: int, name: str) -> np.ndarray:
    if not {"size", "counts"} <= set(rle):
        raise ValueError(f'{name} must have "size" and "counts", got the keys {sorted(map(str, rle))}')
    size = rle["size"]
    if not isinstance(size, list | tuple) or list(size) != [height, width]:
        raise ValueError(f"{name} must be of size [{height}, {width}] (height, width), got {size!r}")
    counts = rle["counts"]
    if isinstance(counts, str | bytes):
        counts = _decompress(counts, name)
    elif not isinstance(counts, list | tuple) or not all(type(c) is int for c in counts):
        raise ValueError(f"{name} must have counts of integers or a compressed string, got {describe(counts)}")
    if min(counts, default=0) < 0 or sum(counts) != height * width:
        raise ValueError(
            f"{name} must have counts of at least 0 that add up to {height} * {width}, "
            f"got a smallest of {min(counts, default=0)} and a sum of {sum(counts)}"
        )
    return _draw_runs(counts, height, width)


def _draw_runs(counts: Sequence[int], height: int, width: int) -> np.ndarray:
    runs = np.arange(len(counts)) % 2 == 1
    return np.repeat(runs, counts).reshape(width, height).T


def _decompress(text: str | bytes, name: str) -> list[int]:
    """Decode COCO's compressed run lengths (pycocotools, common/maskApi.c, rleToString).

    Done here because pycocotools' own decoder accepts strings that are too short, or cut off inside a number, and
    returns whatever is in memory.
    """
    data = text.encode("utf-8") if isinstance(text, str) else text
    counts: list[int] = []
    number, shift = 0, 0
    for byte in data:
        six = byte - 48
        # No run is longer than 2^60, so a number that goes on after that is noise.
        if not 0 <= six < 64 or shift > 60:
            raise ValueError(f"{name} must have counts in COCO's compressed form, got {describe(text)}")
        number |= (six & 0x1F) << shift
        shift += 5
        if six & 0x20:  # the number goes on in the next character
            continue
        if six & 0x10:  # sign
            number -= 1 << shift
        # From the fourth on, a number is the difference to the last run of the same kind.
        counts.append(number + counts[-2] if len(counts) > 2 else number)
        number, shift = 0, 0
    if shift:
        raise ValueError(f"{name} must have counts in COCO's compressed form, got {describe(text)}: it is cut off")
    return counts


def _polygon_mask(polygons: Sequence[Any], height: int, width: int, name: str) -> np.ndarray:
    if not polygons:
        raise ValueError(f"{name} must hold at least one polygon, got none")
    outlines = []
    for k, polygon in enumerate(polygons):
        # Fewer than six numbers would be taken for a box by pycocotools.
        if not isinstance(polygon, list | tuple) or len(polygon) < 6 or len(polygon) % 2:
            raise ValueError(
                f"{name}[{k}] must be a polygon [x0, y0, x1, y1, ...] of at least three points, got {describe(polygon)}"
            )
        for value in polygon:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"{name}[{k}] must hold numbers, got {describe(value)}")
            if not math.isfinite(value) or abs(value) > _LARGEST_COORDINATE:
                raise ValueError(f"{name}[{k}] must hold coordinates within {_LARGEST_COORDINATE}, got {value}")
        outlines.append([float(value) for value in polygon])
    codec = require("pycocotools.mask", extra="segmenters")
    rle = codec.merge(codec.frPyObjects(outlines, height, width))
    return _draw_runs(_decompress(rle["counts"], name), height, width)
