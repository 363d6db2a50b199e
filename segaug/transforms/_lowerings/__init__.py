"""Batched kernels for torchvision's transforms, one module per family; importing it registers them."""

from segaug.transforms._lowerings import _colors, _crops, _flips, _identity

__all__ = ["_colors", "_crops", "_flips", "_identity"]
