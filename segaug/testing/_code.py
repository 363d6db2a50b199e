"""Samples as Python code, so that a failing example can be pasted into a test."""

from typing import Any

import torch
from torchvision import tv_tensors

from segaug.structures import SegmentedImage, SegmentMap, SegmentTokens
from segaug.testing._compare import plain
from segaug.testing.strategies import layout_of

__all__ = ["IMPORTS", "code_of"]

# What the code of a sample needs.
IMPORTS = (
    "import torch",
    "from torchvision import tv_tensors",
    "from segaug import SegmentedImage, SegmentMap, SegmentTokens",
    "from segaug.testing import Augmentation, properties",
    "from segaug.testing.strategies import with_layout",
)
_DIGITS = 9


def code_of(value: Any) -> str:
    """A Python expression that makes the sample anew, strides included.

    Example:
        >>> code_of(tv_tensors.Image(torch.zeros(1, 1, 2, dtype=torch.uint8)))
        'tv_tensors.Image(torch.tensor([[[0, 0]]], dtype=torch.uint8))'
    """
    if isinstance(value, SegmentedImage):
        return f"SegmentedImage({code_of(value.image)}, {code_of(value.segments)})"
    if isinstance(value, SegmentTokens):
        fields = (value.patches, value.alpha, value.boxes, value.areas, value.labels)
        return f"SegmentTokens({', '.join(_tensor(plain(field)) for field in fields)})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name!r}: {code_of(part)}" for name, part in value.items()) + "}"
    if isinstance(value, SegmentMap):
        return f"SegmentMap({_tensor(plain(value))})"
    if isinstance(value, tv_tensors.BoundingBoxes):
        given = f'format="{value.format.value}", canvas_size={tuple(value.canvas_size)}'
        return f"tv_tensors.BoundingBoxes({_tensor(plain(value))}, {given})"
    if isinstance(value, tv_tensors.KeyPoints):
        return f"tv_tensors.KeyPoints({_tensor(plain(value))}, canvas_size={tuple(value.canvas_size)})"
    if isinstance(value, tv_tensors.Mask | tv_tensors.Image):
        kind = "Mask" if isinstance(value, tv_tensors.Mask) else "Image"
        return f"tv_tensors.{kind}({_tensor(plain(value))})"
    return _tensor(value) if isinstance(value, torch.Tensor) else repr(value)


def _tensor(tensor: torch.Tensor) -> str:
    if tensor.numel() == 0:
        # Nested empty lists do not tell all of a shape.
        made = f"torch.zeros({tuple(tensor.shape)}, dtype={tensor.dtype})"
    else:
        made = f"torch.tensor({_numbers(tensor.tolist())}, dtype={tensor.dtype})"
    layout = layout_of(tensor) if tensor.ndim > 1 else None
    return made if layout in (None, "contiguous") else f"with_layout({made}, {layout!r})"


def _numbers(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_numbers(part) for part in value)}]"
    if isinstance(value, float):
        # repr(float32 as a double) has digits that mean nothing; nine are enough to come back to the same float32.
        return f"{value:.{_DIGITS}g}" if value == value and abs(value) != float("inf") else f'float("{value}")'
    return repr(value)
