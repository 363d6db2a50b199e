"""Whether segments are being changed where they lie in a picture.

There the rim of a segment's box is an edge like any other of its outline: beyond it is nothing, and no reflection. So what
mixes neighbours gets a margin without coverage, and its result does not depend on the box. The rim of a token is the rim of
an image.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

__all__ = ["in_picture", "is_in_picture", "narrow", "widen"]

# Kernels that torchvision's functionals dispatch to cannot be told by an argument.
_IN_PICTURE = ContextVar("segaug_in_picture", default=False)


@contextmanager
def in_picture() -> Iterator[None]:
    """Say so for a while."""
    token = _IN_PICTURE.set(True)
    try:
        yield
    finally:
        _IN_PICTURE.reset(token)


def is_in_picture() -> bool:
    """Whether segments are being changed in a picture."""
    return _IN_PICTURE.get()


def widen(layer: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """In a picture, put a margin without coverage around (..., H, W): ``height`` above and below, ``width`` beside."""
    return torch.nn.functional.pad(layer, [width, width, height, height]) if is_in_picture() else layer


def narrow(layer: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Take the margin off again."""
    if not is_in_picture():
        return layer
    return layer[..., height : layer.shape[-2] - height, width : layer.shape[-1] - width]
