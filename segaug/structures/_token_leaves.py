"""What torchvision's transforms see of SegmentTokens, and which of them may touch it.

Every leaf of SegmentTokens has its own type, and every functional of torchvision has a kernel for it: one that does what
the functional means for tokens, or one that raises. So no transform of a whole image is silently wrong on tokens.
"""

from typing import Any

import torch
import torchvision.transforms.v2.functional as F
from torchvision import tv_tensors

__all__ = ["ALLOWED", "APPEARANCE", "GEOMETRY", "TokenAlpha", "TokenBoxes", "TokenPatches", "mirror_boxes"]

GEOMETRY = (
    "affine",
    "center_crop",
    "crop",
    "elastic",
    "five_crop",
    "pad",
    "perspective",
    "resize",
    "resized_crop",
    "rotate",
    "ten_crop",
)
APPEARANCE = (
    "adjust_brightness",
    "adjust_contrast",
    "adjust_gamma",
    "adjust_hue",
    "adjust_saturation",
    "adjust_sharpness",
    "autocontrast",
    "equalize",
    "erase",
    "gaussian_blur",
    "gaussian_noise",
    "grayscale_to_rgb",
    "invert",
    "jpeg",
    "permute_channels",
    "posterize",
    "rgb_to_grayscale",
    "solarize",
)
# "normalize" is inherited from Image; a flip also mirrors the boxes; a new dtype goes to patches and alpha alike.
ALLOWED = ("horizontal_flip", "normalize", "to_dtype", "vertical_flip")


class TokenPatches(tv_tensors.Image):
    """The patches of SegmentTokens, (..., N, C, P, P)."""


class TokenAlpha(tv_tensors.Mask):
    """The coverage of SegmentTokens, (..., N, P, P)."""


class TokenBoxes(tv_tensors.TVTensor):
    """The boxes of SegmentTokens, (..., N, 4)."""


def mirror_boxes(boxes: torch.Tensor, axis: int) -> torch.Tensor:
    """Mirror XYXY boxes in [0, 1] along x (``axis=0``) or y (``axis=1``); background and padding stay."""
    mirrored = boxes.clone()
    mirrored[..., axis] = 1 - boxes[..., axis + 2]
    mirrored[..., axis + 2] = 1 - boxes[..., axis]
    # The background's box is -1, padding's is empty.
    is_place = (boxes[..., 2:] > boxes[..., :2]).all(-1, keepdim=True)
    return torch.where(is_place, mirrored, boxes)


def _register() -> None:
    def refuse(name: str, advice: str) -> Any:
        def kernel(inpt: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            raise TypeError(f"{name} on SegmentTokens would act on all patches as one image: {advice}")

        return kernel

    per_segment = "wrap the transform in segaug.PerSegment to change every segment by its own draw"
    for names, advice in (
        (GEOMETRY, f"put it before Tokenize, or {per_segment}"),
        (APPEARANCE, f"put it before Tokenize, or {per_segment}"),
    ):
        for name in names:
            F.register_kernel(getattr(F, name), TokenPatches)(refuse(name, advice))

    def convert(inpt: TokenPatches, dtype: torch.dtype = torch.float32, scale: bool = False) -> TokenPatches:
        if dtype.is_floating_point != inpt.is_floating_point() and not scale:
            raise ValueError("scale must be True to convert SegmentTokens between uint8 and float in [0, 1], got False")
        return F.to_dtype_image(inpt.as_subclass(torch.Tensor), dtype, scale).as_subclass(TokenPatches)

    def follow(inpt: TokenAlpha, *args: Any, **kwargs: Any) -> TokenAlpha:
        # SegmentTokens brings alpha into the dtype of patches when it is put together again.
        return inpt

    F.register_kernel(F.to_dtype, TokenPatches)(convert)
    F.register_kernel(F.to_dtype, TokenAlpha)(follow)

    for axis, name in enumerate(("horizontal_flip", "vertical_flip")):

        def flip_boxes(inpt: TokenBoxes, axis: int = axis) -> TokenBoxes:
            return mirror_boxes(inpt.as_subclass(torch.Tensor), axis).as_subclass(TokenBoxes)

        F.register_kernel(getattr(F, name), TokenBoxes)(flip_boxes)


_register()
