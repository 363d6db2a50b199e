"""The reference: one call of the wrapped transform per segment.

What a transform gets:

- torchvision's own v2 transforms get a :class:`SegmentPatch`, which carries colour and coverage. Geometry moves both
  together, premultiplied; colour functionals see straight colours, with the segment's mean colour where it is not, so
  that nothing black leaks in, and only the segment's own pixels where statistics count.
- v2 transforms of users get an ``Image`` and its coverage as a ``Mask``, as in any detection pipeline.
- any other callable gets the straight image, as a tensor (C, H, W), PIL image or array, the mean colour outside the
  segment, and must leave the pixels where they are; one that moves pixels is declared by ``geometry=True`` and gets colour
  and coverage as C + 1 channels.

A segment with a full mask goes through the plain transform untouched.
"""

from collections.abc import Callable
from typing import Any

import torch
import torchvision.transforms.v2.functional as F
from torchvision import tv_tensors
from torchvision.transforms import v2

from segaug._checks import describe
from segaug.functional import premultiply, unpremultiply
from segaug.functional._dtype import to_dtype
from segaug.transforms._interface import Interface

__all__ = ["apply_to_segment", "loop_over_segments"]


class SegmentPatch(tv_tensors.Image):
    """Colour, premultiplied, and coverage behind it: (C + 1, H, W)."""


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
_TENSOR = Interface()
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
    "erase",
)
# Mixes neighbours: sees the mean colour beyond the segment's edge.
_NEIGHBOURS = ("adjust_sharpness", "gaussian_blur", "jpeg")
# Counts pixels: sees the segment's own.
_STATISTICS = ("autocontrast", "equalize")


def apply_to_segment(
    transform: Any, patch: torch.Tensor, alpha: torch.Tensor, interface: Interface = _TENSOR
) -> tuple[torch.Tensor, torch.Tensor]:
    """Call ``transform`` on one segment: patch (C, H, W) premultiplied, alpha (H, W)."""
    if _is_functional(transform):
        packed = transform(torch.cat([patch, alpha[None]]).as_subclass(SegmentPatch))
        if isinstance(transform, _RETYPING):
            return _split(packed)
        packed = _checked(transform, packed, patch, channels=len(patch) + 1)
        return packed[:-1], packed[-1]
    children = _children(transform)
    if children is not None:
        for child in children:
            patch, alpha = apply_to_segment(child, patch, alpha, interface)
        return patch, alpha
    if isinstance(transform, v2.Transform) and not isinstance(transform, _RAW):
        image, coverage = transform(
            _filled(patch, alpha).as_subclass(tv_tensors.Image), alpha[None].as_subclass(Coverage)
        )
        image = _checked(transform, image, patch, channels=len(patch))
        coverage = coverage.as_subclass(torch.Tensor)[0]
        return _covered(image, coverage), coverage
    if interface.geometry:
        output = interface.call(transform, torch.cat([patch, alpha[None]]))
        packed = _checked(transform, output, patch, channels=len(patch) + 1)
        # Colour is premultiplied, so there is none without coverage.
        return torch.minimum(packed[:-1], packed[-1]), packed[-1]
    image = _checked(transform, interface.call(transform, _filled(patch, alpha)), patch, channels=len(patch))
    if image.shape != patch.shape:
        raise ValueError(
            f"transform changed the size of a segment from {tuple(patch.shape[-2:])} to {tuple(image.shape[-2:])}; "
            "a callable that moves pixels is declared by geometry=True"
        )
    return _covered(image, alpha), alpha


def loop_over_segments(
    transform: Any, patches: torch.Tensor, alpha: torch.Tensor, names: list[str], interface: Interface = _TENSOR
) -> tuple[torch.Tensor, torch.Tensor]:
    """Call ``transform`` once per segment, in order: patches (M, C, H, W), alpha (M, H, W)."""
    outputs = []
    for patch, coverage, name in zip(patches, alpha, names, strict=True):
        try:
            # A copy: a transform that works in place must not change the input.
            outputs.append(apply_to_segment(transform, patch.clone(), coverage.clone(), interface))
        except Exception as error:
            error.add_note(f"raised by {describe_transform(transform)} on {name}")
            raise
    sizes = {output.shape for output, _ in outputs}
    if len(sizes) > 1:
        raise ValueError(
            f"transform must give every segment the same size, {describe_transform(transform)} gave "
            + ", ".join(str(tuple(size[-2:])) for size in sorted(sizes))
        )
    return torch.stack([output for output, _ in outputs]), torch.stack([coverage for _, coverage in outputs])


def describe_transform(transform: Any) -> str:
    """Name a transform in an error."""
    return type(transform).__name__ if isinstance(transform, torch.nn.Module) else describe(transform)


def _children(transform: Any) -> list[Any] | None:
    """Draw which children of a container run, as the container itself would; None if it is no container."""
    if type(transform) is v2.Compose or type(transform) is torch.nn.Sequential:
        return list(transform.transforms if type(transform) is v2.Compose else transform)
    if type(transform) is v2.RandomApply:
        return [] if torch.rand(1) >= transform.p else list(transform.transforms)
    if type(transform) is v2.RandomChoice:
        return [transform.transforms[int(torch.multinomial(torch.tensor(transform.p), 1))]]
    if type(transform) is v2.RandomOrder:
        return [transform.transforms[index] for index in torch.randperm(len(transform.transforms))]
    return None


# torchvision's own that give another dtype or number of channels, to all segments alike.
_RETYPING = (v2.ConvertImageDtype, v2.Grayscale, v2.RGB, v2.ToDtype)
# torchvision's own that compute on the tensor itself. AugMix mixes several results, so it keeps the segment's outline.
_RAW = (v2.AugMix, v2.Lambda, v2.LinearTransformation)
_CONTAINERS = (v2.Compose, v2.RandomApply, v2.RandomChoice, v2.RandomOrder, torch.nn.Sequential)


def _is_functional(transform: Any) -> bool:
    """Whether it is torchvision's own, and does all it does through functionals."""
    return (
        isinstance(transform, v2.Transform)
        and type(transform).__module__.startswith("torchvision.transforms.v2")
        and not isinstance(transform, (*_CONTAINERS, *_RAW))
    )


def _checked(transform: Any, output: Any, patch: torch.Tensor, channels: int) -> torch.Tensor:
    name = describe_transform(transform)
    if not isinstance(output, torch.Tensor):
        raise TypeError(f"transform must return one tensor per segment, {name} returned {describe(output)}")
    if output.dtype != patch.dtype:
        raise TypeError(f"transform must keep the dtype {patch.dtype}, {name} returned {describe(output)}")
    if output.ndim != 3 or output.shape[0] != channels:
        raise ValueError(f"transform must return shape {(channels, '*', '*')}, {name} returned {describe(output)}")
    return output.as_subclass(torch.Tensor)


def _filled(patch: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Straight colours, and the segment's mean colour where it has no coverage; in the dtype of ``patch``."""
    full = 255 if patch.dtype == torch.uint8 else 1.0
    if bool((alpha == full).all()):
        return patch
    straight = unpremultiply(patch, alpha)
    weights = alpha.to(straight.dtype)
    mean = (straight * weights).sum((-2, -1), keepdim=True) / weights.sum().clamp(min=1e-12)
    filled = torch.where(alpha > 0, straight, mean)
    return (filled.round() if patch.dtype == torch.uint8 else filled).to(patch.dtype)


def _covered(image: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    full = 255 if alpha.dtype == torch.uint8 else 1.0
    if bool((alpha == full).all()):
        return image
    return premultiply(image.to(torch.float32) if image.dtype == torch.uint8 else image, alpha)


def _split(packed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    plain = packed.as_subclass(torch.Tensor)
    return plain[:-1], plain[-1]


def _pack(image: torch.Tensor, alpha: torch.Tensor) -> SegmentPatch:
    return torch.cat([_covered(image, alpha), alpha[None]]).as_subclass(SegmentPatch)


def _own_pixels(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Run ``function`` on the pixels that have coverage, as an image one pixel high."""

    def run(filled: torch.Tensor, alpha: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        own = alpha > 0
        if not own.any():
            return filled
        output = filled.clone()
        output[:, own] = function(filled[:, own][:, None], *args, **kwargs)[:, 0]
        return output

    return run


def _contrast(filled: torch.Tensor, alpha: torch.Tensor, contrast_factor: float) -> torch.Tensor:
    """Scale about the mean luma of the segment's own pixels, weighted by coverage."""
    levels = filled.dtype == torch.uint8
    full = 255.0 if levels else 1.0
    if bool((alpha == full).all()):
        return F.adjust_contrast_image(filled, contrast_factor)
    gray = filled[0].to(torch.float32)
    if len(filled) == 3:
        gray = filled[0] * 0.2989 + filled[1] * 0.587 + filled[2] * 0.114
    weights = alpha / full
    mean = ((gray.floor() if levels else gray) * weights).sum() / weights.sum().clamp(min=1e-12)
    blended = (filled * contrast_factor + mean * (1.0 - contrast_factor)).clamp(0, full)
    return blended.to(filled.dtype)


def _register() -> None:
    def moving(kernel: Callable[..., torch.Tensor], kind: type) -> Any:
        def run(inpt: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            if kwargs.get("fill") is not None:
                # What a transform fills in belongs to no segment: no colour, no coverage.
                kwargs["fill"] = 0
            return kernel(inpt.as_subclass(torch.Tensor), *args, **kwargs).as_subclass(kind)

        return run

    def coloring(function: Callable[..., torch.Tensor]) -> Any:
        def run(inpt: SegmentPatch, *args: Any, **kwargs: Any) -> SegmentPatch:
            patch, alpha = _split(inpt)
            return _pack(function(_filled(patch, alpha), alpha, *args, **kwargs), alpha)

        return run

    def ignoring_alpha(kernel: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        return lambda filled, alpha, *args, **kwargs: kernel(filled, *args, **kwargs)

    for name in _MOVES:
        kernel = getattr(F, f"{name}_image")
        F.register_kernel(name, SegmentPatch)(moving(kernel, SegmentPatch))
        F.register_kernel(name, Coverage)(moving(kernel, Coverage))
    for name in (*_POINTWISE, *_NEIGHBOURS):
        F.register_kernel(name, SegmentPatch)(coloring(ignoring_alpha(getattr(F, f"{name}_image"))))
    for name in _STATISTICS:
        F.register_kernel(name, SegmentPatch)(coloring(_own_pixels(getattr(F, f"{name}_image"))))
    F.register_kernel("adjust_contrast", SegmentPatch)(coloring(_contrast))

    F.register_kernel("rgb_to_grayscale", SegmentPatch)(coloring(ignoring_alpha(F.rgb_to_grayscale_image)))
    F.register_kernel("grayscale_to_rgb", SegmentPatch)(coloring(ignoring_alpha(F.grayscale_to_rgb_image)))

    def convert(inpt: SegmentPatch, dtype: torch.dtype = torch.float32, scale: bool = False) -> SegmentPatch:
        return to_dtype(inpt.as_subclass(torch.Tensor), dtype, scale).as_subclass(SegmentPatch)

    F.register_kernel("to_dtype", SegmentPatch)(convert)

    def get_dimensions(inpt: SegmentPatch) -> list[int]:
        return [inpt.shape[-3] - 1, *inpt.shape[-2:]]

    F.register_kernel("get_dimensions", SegmentPatch)(get_dimensions)
    F.register_kernel("get_num_channels", SegmentPatch)(lambda inpt: inpt.shape[-3] - 1)


_register()
