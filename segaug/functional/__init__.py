"""Kernels on plain tensors: no randomness, no classes; batched over segments and over the batch."""

from segaug.functional._adjust import (
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    color_jitter,
    rgb_to_grayscale,
)
from segaug.functional._alpha import premultiply, unpremultiply
from segaug.functional._budget import limit_tokens
from segaug.functional._composite import composite_segments, fill_holes, mask_boxes, paint_order
from segaug.functional._curves import autocontrast, equalize, invert, posterize, solarize
from segaug.functional._cut import cut_segments
from segaug.functional._filter import adjust_sharpness, gaussian_blur
from segaug.functional._geometry import crop, horizontal_flip, resized_crop, vertical_flip
from segaug.functional._hide import hide_tokens
from segaug.functional._labels import relabel, segment_areas, segment_boxes, segment_table
from segaug.functional._mix import (
    area_shares,
    match_tokens,
    merge_tokens,
    roll_partners,
    swap_background,
    take_tokens,
)
from segaug.functional._paint import paint_tokens, paint_values
from segaug.functional._position import jitter_positions
from segaug.functional._tokenize import tokenize, tokenize_masks
from segaug.functional._warp import affine, elastic, perspective, rotate

__all__ = [
    "adjust_brightness",
    "adjust_contrast",
    "adjust_hue",
    "adjust_saturation",
    "adjust_sharpness",
    "affine",
    "area_shares",
    "autocontrast",
    "color_jitter",
    "composite_segments",
    "crop",
    "cut_segments",
    "elastic",
    "equalize",
    "fill_holes",
    "gaussian_blur",
    "hide_tokens",
    "horizontal_flip",
    "invert",
    "jitter_positions",
    "limit_tokens",
    "mask_boxes",
    "match_tokens",
    "merge_tokens",
    "paint_order",
    "paint_tokens",
    "paint_values",
    "perspective",
    "posterize",
    "premultiply",
    "relabel",
    "resized_crop",
    "rgb_to_grayscale",
    "roll_partners",
    "rotate",
    "segment_areas",
    "segment_boxes",
    "segment_table",
    "solarize",
    "swap_background",
    "take_tokens",
    "tokenize",
    "tokenize_masks",
    "unpremultiply",
    "vertical_flip",
]
