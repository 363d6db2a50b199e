"""The pixels of a sample, whatever its kind: read, and put back."""

from dataclasses import replace
from typing import Any

import torch
from torchvision import tv_tensors

from segaug.structures import SegmentTokens
from segaug.testing._compare import named_leaves, plain

__all__ = ["pixels", "pixels_name", "place_of", "with_leaves", "with_pixels"]


def pixels_name(sample: Any) -> str:
    """The leaf that holds the pixels."""
    return "patches" if isinstance(sample, SegmentTokens) else "image"


def pixels(sample: Any) -> torch.Tensor:
    """The pixels as a plain tensor: (..., C, H, W)."""
    return plain(named_leaves(sample)[pixels_name(sample)])


def with_pixels(sample: Any, values: torch.Tensor) -> Any:
    """The sample with other pixels."""
    return with_leaves(sample, {pixels_name(sample): values})


def with_leaves(sample: Any, leaves: dict[str, torch.Tensor]) -> Any:
    """The sample with other leaves, each of the type that it had."""
    before = named_leaves(sample)
    typed = {
        name: tv_tensors.wrap(plain(value), like=before[name])
        if isinstance(before[name], tv_tensors.TVTensor)
        else value
        for name, value in leaves.items()
    }
    if isinstance(sample, torch.Tensor):
        return typed["image"]
    return {**sample, **typed} if isinstance(sample, dict) else replace(sample, **typed)


def place_of(wrong: torch.Tensor) -> tuple[int, ...]:
    """The first place where a mask is True, as an index."""
    return tuple(wrong.nonzero()[0].tolist())
