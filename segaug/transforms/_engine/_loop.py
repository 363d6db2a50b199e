"""The reference: one call of the wrapped transform per segment.

What a transform gets:

- torchvision's own v2 transforms get a :class:`SegmentPatch`, which carries colour and coverage. Geometry moves both
  together, premultiplied; colour functionals see straight colours, and only the segment's own pixels where statistics
  count or neighbours are mixed: blur and sharpness are weighted by coverage. JPEG, which works on blocks, sees the
  segment's mean colour where it is not, so that nothing black leaks in.
- v2 transforms of users get an ``Image`` and its coverage as a ``Mask``, as in any detection pipeline.
- any other callable gets the straight image, as a tensor (C, H, W), PIL image or array, the mean colour outside the
  segment, and must leave the pixels where they are; one that moves pixels is declared by ``geometry=True`` and gets colour
  and coverage as C + 1 channels.

A segment with a full mask goes through the plain transform untouched.
"""

from typing import Any

import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from segaug._checks import describe
from segaug.transforms._engine._adapted import Adapted
from segaug.transforms._engine._interface import Interface
from segaug.transforms._engine._segment_patch import Coverage, SegmentPatch, StraightPatch, covered, filled, split

__all__ = ["apply_to_segment", "describe_transform", "has_callable", "loop_over_segments"]

_TENSOR = Interface()
# Rounding of an average, say.
_SLACK = 1e-4


def apply_to_segment(
    transform: Any, patch: torch.Tensor, alpha: torch.Tensor, interface: Interface = _TENSOR
) -> tuple[torch.Tensor, torch.Tensor]:
    """Call ``transform`` on one segment: patch (C, H, W) premultiplied, alpha (H, W)."""
    if isinstance(transform, Adapted):
        return transform.on_one(patch, alpha)
    if isinstance(transform, _SEVERAL_COLORS):
        straight = torch.cat([filled(patch, alpha), alpha[None]]).as_subclass(StraightPatch)
        changed = _checked(transform, transform(straight), patch, channels=len(patch) + 1)
        return covered(changed[:-1], alpha), alpha
    if _is_functional(transform):
        if isinstance(transform, v2.ToDtype) and tv_tensors.Image in _kinds(transform):
            # A patch is an image, though of a type that the dict does not hold.
            transform = v2.ToDtype(_kinds(transform)[tv_tensors.Image] or patch.dtype, transform.scale)
        packed = transform(torch.cat([patch, alpha[None]]).as_subclass(SegmentPatch))
        if isinstance(transform, _RETYPING):
            return split(packed)
        packed = _checked(transform, packed, patch, channels=len(patch) + 1)
        return packed[:-1], packed[-1]
    children = _children(transform)
    if children is not None:
        for child in children:
            patch, alpha = apply_to_segment(child, patch, alpha, interface)
        return patch, alpha
    if isinstance(transform, v2.Transform) and not isinstance(transform, _RAW):
        image, coverage = transform(
            filled(patch, alpha).as_subclass(tv_tensors.Image), alpha[None].as_subclass(Coverage)
        )
        image = _in_range(transform, _checked(transform, image, patch, channels=len(patch)))
        coverage = coverage.as_subclass(torch.Tensor)[0]
        return covered(image, coverage), coverage
    if interface.geometry:
        output = interface.call(transform, torch.cat([patch, alpha[None]]))
        packed = _in_range(transform, _checked(transform, output, patch, channels=len(patch) + 1))
        # Colour is premultiplied, so there is none without coverage.
        return torch.minimum(packed[:-1], packed[-1]), packed[-1]
    image = _checked(transform, interface.call(transform, filled(patch, alpha)), patch, channels=len(patch))
    if image.shape != patch.shape:
        raise ValueError(
            f"transform changed the size of a segment from {tuple(patch.shape[-2:])} to {tuple(image.shape[-2:])}; "
            "a callable that moves pixels is declared by geometry=True"
        )
    return covered(_in_range(transform, image), alpha), alpha


def _kinds(transform: v2.ToDtype) -> dict[Any, Any]:
    return transform.dtype if isinstance(transform.dtype, dict) else {}


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
    kinds = sorted({f"{tuple(output.shape)} {str(output.dtype).removeprefix('torch.')}" for output, _ in outputs})
    if len(kinds) > 1:
        raise ValueError(
            f"transform must give every segment the same size, channels and dtype, {describe_transform(transform)} gave "
            + ", ".join(kinds)
        )
    return torch.stack([output for output, _ in outputs]), torch.stack([coverage for _, coverage in outputs])


def describe_transform(transform: Any) -> str:
    """Name a transform in an error."""
    transform = transform.transform if isinstance(transform, Adapted) else transform
    if isinstance(transform, torch.nn.Module):
        return type(transform).__name__
    # Functions have a name, and other callables a class.
    return str(getattr(transform, "__name__", type(transform).__name__))


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


# torchvision's own that change colours in several steps, between which colours are not put under coverage.
_SEVERAL_COLORS = (v2.ColorJitter, v2.RandomPhotometricDistort)
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


def has_callable(transform: Any) -> bool:
    """Whether it is, or holds, a callable that is called in the terms of an ``Interface``."""
    if isinstance(transform, _CONTAINERS):
        return any(has_callable(child) for child in getattr(transform, "transforms", transform))
    if isinstance(transform, Adapted):
        return False
    return not isinstance(transform, v2.Transform) or isinstance(transform, _RAW)


def _checked(transform: Any, output: Any, patch: torch.Tensor, channels: int) -> torch.Tensor:
    name = describe_transform(transform)
    if not isinstance(output, torch.Tensor):
        raise TypeError(f"transform must return one tensor per segment, {name} returned {describe(output)}")
    if output.dtype != patch.dtype:
        raise TypeError(f"transform must keep the dtype {patch.dtype}, {name} returned {describe(output)}")
    if output.ndim != 3 or output.shape[0] != channels:
        raise ValueError(f"transform must return shape {(channels, '*', '*')}, {name} returned {describe(output)}")
    return output.as_subclass(torch.Tensor)


def _in_range(transform: Any, output: torch.Tensor) -> torch.Tensor:
    """Check that floats of a user's transform are in [0, 1], but for a little."""
    if not output.is_floating_point() or isinstance(transform, v2.LinearTransformation):
        return output
    # NaN fails the comparisons.
    if not bool(((output >= -_SLACK) & (output <= 1.0 + _SLACK)).all()):
        raise ValueError(
            f"transform must keep floats in [0, 1], {describe_transform(transform)} returned {float(output.min()):g} to "
            f"{float(output.max()):g}"
        )
    return output.clamp(0.0, 1.0)
