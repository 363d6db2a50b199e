"""Batched kernels for torchvision's transforms, one module per family; importing it registers them."""

from segaug.transforms._engine._lowerings import (
    _auto_augment,
    _colors,
    _crops,
    _dtypes,
    _erasing,
    _filters,
    _flips,
    _identity,
    _noise,
    _resize,
    _tones,
    _warps,
)

__all__ = [
    "_auto_augment",
    "_colors",
    "_crops",
    "_dtypes",
    "_erasing",
    "_filters",
    "_flips",
    "_identity",
    "_noise",
    "_resize",
    "_tones",
    "_warps",
]
