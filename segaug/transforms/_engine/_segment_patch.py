"""What torchvision's functionals do to a segment: kernels for its patch, colour and coverage in one tensor."""

from collections.abc import Callable
from typing import Any

import torch
import torchvision.transforms.v2.functional as F
from torch.nn.functional import conv2d
from torchvision import tv_tensors

from segaug.functional import premultiply
from segaug.functional._alpha import fill_outside
from segaug.functional._dtype import to_dtype
from segaug.transforms._engine._place import is_in_picture, narrow, widen

__all__ = ["Coverage", "SegmentPatch", "StraightPatch", "covered", "filled", "split"]


class SegmentPatch(tv_tensors.Image):
    """Colour, premultiplied, and coverage behind it: (C + 1, H, W)."""


class StraightPatch(tv_tensors.Image):
    """Colour as it is, of any value outside the segment, and coverage behind it: (C + 1, H, W)."""


class Coverage(tv_tensors.Mask):
    """Coverage (1, H, W), which geometry resamples like an image and colour transforms leave alone."""


_MOVES = (
    "affine",
    "center_crop",
    "crop",
    "elastic",
    "horizontal_flip",
    "pad",
    "perspective",
    "resize",
    "resized_crop",
    "rotate",
    "vertical_flip",
)
# Those of them that compute no new values.
_COPIES = ("center_crop", "crop", "horizontal_flip", "pad", "vertical_flip")
# A pixel's result depends on that pixel alone.
_POINTWISE = (
    "adjust_brightness",
    "adjust_gamma",
    "adjust_hue",
    "adjust_saturation",
    "gaussian_noise",
    "invert",
    "normalize",
    "permute_channels",
    "posterize",
    "solarize",
)
# Counts pixels: sees the segment's own.
_STATISTICS = ("autocontrast", "equalize")


def filled(patch: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Straight colours, and the segment's mean colour where it has no coverage; in the dtype of ``patch``."""
    full = 255 if patch.dtype == torch.uint8 else 1.0
    return patch if bool((alpha == full).all()) else fill_outside(patch, alpha)


def covered(image: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Colours premultiplied by coverage."""
    full = 255 if alpha.dtype == torch.uint8 else 1.0
    if bool((alpha == full).all()):
        return image
    return premultiply(image.to(torch.float32) if image.dtype == torch.uint8 else image, alpha)


def split(packed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Colour (C, H, W) and coverage (H, W) of a patch."""
    plain = packed.as_subclass(torch.Tensor)
    return plain[:-1], plain[-1]


def _own_pixels(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Run ``function`` on the pixels that have coverage, as an image one pixel high."""

    def run(image: torch.Tensor, alpha: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        own = alpha > 0
        if not own.any():
            return image
        output = image.clone()
        output[:, own] = function(image[:, own][:, None], *args, **kwargs)[:, 0]
        return output

    return run


def _contrast(image: torch.Tensor, alpha: torch.Tensor, contrast_factor: float) -> torch.Tensor:
    """Scale about the mean luma of the segment's own pixels, weighted by coverage."""
    levels = image.dtype == torch.uint8
    full = 255.0 if levels else 1.0
    if bool((alpha == full).all()):
        return F.adjust_contrast_image(image, contrast_factor)
    gray = image[0].to(torch.float32)
    if len(image) == 3:
        gray = image[0] * 0.2989 + image[1] * 0.587 + image[2] * 0.114
    weights = alpha / full
    mean = ((gray.floor() if levels else gray) * weights).sum() / weights.sum().clamp(min=1e-12)
    blended = (image * contrast_factor + mean * (1.0 - contrast_factor)).clamp(0, full)
    return blended.to(image.dtype)


def _straight(image: torch.Tensor, alpha: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, float, bool]:
    """Colours and coverage in double, the largest value, and whether the mask is full."""
    full = 255.0 if image.dtype == torch.uint8 else 1.0
    return image.double(), alpha.double(), full, bool((alpha == full).all())


def _as_before(changed: torch.Tensor, image: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Put what changed where the segment is; outside, where no weights may be near, values mean nothing."""
    return torch.where(alpha > 0, changed, image.double()).to(image.dtype)


def _blur(image: torch.Tensor, alpha: torch.Tensor, kernel_size: Any, sigma: Any = None) -> torch.Tensor:
    """Weighted by coverage, so that nothing from outside the segment mixes in."""
    straight, weights, _, is_full = _straight(image, alpha)
    if is_full and not is_in_picture():
        return F.gaussian_blur_image(image, kernel_size, sigma)
    width, height = (kernel_size, kernel_size) if isinstance(kernel_size, int) else (kernel_size[0], kernel_size[-1])
    margin = height // 2, width // 2
    layers = (widen(layer, *margin) for layer in (straight * weights, weights[None]))
    mixed, weight = (narrow(F.gaussian_blur_image(layer, kernel_size, sigma), *margin) for layer in layers)
    mixed = mixed / weight
    return _as_before(mixed.round() if image.dtype == torch.uint8 else mixed, image, alpha)


def _sharpness(image: torch.Tensor, alpha: torch.Tensor, sharpness_factor: float) -> torch.Tensor:
    """Towards or away from the mean of the neighbours of the same segment, weighted by coverage."""
    straight, weights, full, is_full = _straight(image, alpha)
    as_there = (is_full or min(alpha.shape) <= 2) and not is_in_picture()
    if as_there or sharpness_factor < 0:
        return F.adjust_sharpness_image(image, sharpness_factor)
    straight, weights = widen(straight, 1, 1), widen(weights, 1, 1)
    kernel = torch.tensor([[1.0, 1.0, 1.0], [1.0, 5.0, 1.0], [1.0, 1.0, 1.0]]).to(straight)[None, None]
    mixed, weight = (conv2d(layer[:, None], kernel)[:, 0] for layer in (straight * weights, weights[None]))
    smooth = mixed / weight
    if image.dtype == torch.uint8:
        smooth = smooth.round()
    # The step to it as torchvision takes it, in float32 for levels.
    changed = straight.float() if image.dtype == torch.uint8 else straight.clone()
    inner = changed[:, 1:-1, 1:-1]
    inner.add_(smooth.to(changed.dtype).sub(inner), alpha=1.0 - sharpness_factor)
    return _as_before(narrow(changed.clamp(0.0, full).double(), 1, 1), image, alpha)


def _erase(inpt: SegmentPatch, i: int, j: int, h: int, w: int, v: torch.Tensor, inplace: bool = False) -> SegmentPatch:
    """Paint the window where the segment is; its coverage stays."""
    patch, alpha = split(inpt)
    window = F.erase_image(torch.zeros_like(alpha, dtype=torch.bool)[None], i, j, h, w, torch.ones(1, dtype=torch.bool))
    painted = covered(F.erase_image(torch.zeros_like(patch), i, j, h, w, v), alpha)
    return torch.cat([torch.where(window, painted, patch), alpha[None]]).as_subclass(SegmentPatch)


def _register() -> None:
    def moving(kernel: Callable[..., torch.Tensor], kind: type, copies: bool) -> Any:
        def run(inpt: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            if kwargs.get("fill") is not None:
                # What a transform fills in belongs to no segment: no colour, no coverage.
                kwargs["fill"] = 0
            moved = kernel(inpt.as_subclass(torch.Tensor), *args, **kwargs)
            # Bilinear weights add up to 1 only nearly, and bicubic ones overshoot.
            bounded = moved if copies or not moved.is_floating_point() else moved.clamp(0.0, 1.0)
            return bounded.as_subclass(kind)

        return run

    def color(name: str, function: Callable[..., torch.Tensor]) -> None:
        def on_patch(inpt: SegmentPatch, *args: Any, **kwargs: Any) -> SegmentPatch:
            patch, alpha = split(inpt)
            changed = function(filled(patch, alpha), alpha, *args, **kwargs)
            return torch.cat([covered(changed, alpha), alpha[None]]).as_subclass(SegmentPatch)

        def on_straight(inpt: StraightPatch, *args: Any, **kwargs: Any) -> StraightPatch:
            image, alpha = split(inpt)
            return torch.cat([function(image, alpha, *args, **kwargs), alpha[None]]).as_subclass(StraightPatch)

        F.register_kernel(name, SegmentPatch)(on_patch)
        F.register_kernel(name, StraightPatch)(on_straight)

    def ignoring_alpha(kernel: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        return lambda image, alpha, *args, **kwargs: kernel(image, *args, **kwargs)

    for name in _MOVES:
        kernel = getattr(F, f"{name}_image")
        F.register_kernel(name, SegmentPatch)(moving(kernel, SegmentPatch, name in _COPIES))
        F.register_kernel(name, Coverage)(moving(kernel, Coverage, name in _COPIES))
    for name in (*_POINTWISE, "grayscale_to_rgb", "jpeg", "rgb_to_grayscale"):
        color(name, ignoring_alpha(getattr(F, f"{name}_image")))
    for name in _STATISTICS:
        color(name, _own_pixels(getattr(F, f"{name}_image")))
    color("adjust_contrast", _contrast)
    color("adjust_sharpness", _sharpness)
    color("gaussian_blur", _blur)
    F.register_kernel("erase", SegmentPatch)(_erase)

    def convert(inpt: SegmentPatch, dtype: torch.dtype = torch.float32, scale: bool = False) -> SegmentPatch:
        return to_dtype(inpt.as_subclass(torch.Tensor), dtype, scale).as_subclass(SegmentPatch)

    F.register_kernel("to_dtype", SegmentPatch)(convert)

    def get_dimensions(inpt: SegmentPatch | StraightPatch) -> list[int]:
        return [inpt.shape[-3] - 1, *inpt.shape[-2:]]

    for kind in (SegmentPatch, StraightPatch):
        F.register_kernel("get_dimensions", kind)(get_dimensions)
        F.register_kernel("get_num_channels", kind)(lambda inpt: inpt.shape[-3] - 1)


_register()
