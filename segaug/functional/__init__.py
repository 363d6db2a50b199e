"""Kernels on plain tensors: no randomness, no classes; batched over segments and over the batch."""

from segaug.functional._alpha import premultiply, unpremultiply
from segaug.functional._color import (
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    color_jitter,
    rgb_to_grayscale,
)
from segaug.functional._geometry import horizontal_flip, resized_crop, vertical_flip
from segaug.functional._labels import relabel, segment_areas, segment_boxes, segment_table
from segaug.functional._paint import paint_tokens, paint_values
from segaug.functional._position import jitter_positions
from segaug.functional._tokenize import cut_segments, tokenize, tokenize_masks

__all__ = [
    "adjust_brightness",
    "adjust_contrast",
    "adjust_hue",
    "adjust_saturation",
    "color_jitter",
    "cut_segments",
    "horizontal_flip",
    "jitter_positions",
    "paint_tokens",
    "paint_values",
    "premultiply",
    "relabel",
    "resized_crop",
    "rgb_to_grayscale",
    "segment_areas",
    "segment_boxes",
    "segment_table",
    "tokenize",
    "tokenize_masks",
    "unpremultiply",
    "vertical_flip",
]
