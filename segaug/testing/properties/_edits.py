"""Samples edited in ways whose effect on a right transform is known, and what is known of the transform itself."""

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any, TypedDict

import torch
from torchvision.transforms import v2

from segaug.structures import SegmentedImage, SegmentMap, SegmentTokens
from segaug.testing._augmentation import Augmentation
from segaug.testing._compare import check_equal, plain
from segaug.testing._conventions import library_of
from segaug.testing._errors import NotApplicable
from segaug.transforms import BackgroundSwap, PerSegment, SegmentCopyPaste, SegmentDrop, SegmentMix

__all__ = [
    "check_tokens",
    "drops_segments",
    "has_streams_per_slot",
    "images_of",
    "mixes_images",
    "parts_of",
    "quantile_of",
    "real_tokens",
    "recolor",
    "rename",
    "rounding",
    "sees_filler",
    "take",
    "unless_mixing",
    "wrapped_in",
]

_MIXING = (BackgroundSwap, SegmentCopyPaste, SegmentMix)
_COARSE = (torch.float16, torch.bfloat16)


def quantile_of(seed: int) -> float:
    """A quantile in [0, 1) for pinned draws; those of neighbouring seeds are far apart."""
    # Squared, as small ones let a transform happen that does so with a probability.
    return float(((0.5 + seed * 0.6180339887498949) % 1.0) ** 2)


class Rounding(TypedDict):
    """Arguments of ``check_equal``."""

    levels: float
    atol: float


def rounding(pixels: torch.Tensor) -> Rounding:
    """How far results may be apart that were computed in another order, for ``check_equal``."""
    return {"levels": 1.0, "atol": 1e-2 if pixels.dtype in _COARSE else 1e-5}


def recolor(pixels: torch.Tensor, most: torch.Tensor | float) -> torch.Tensor:
    """Other colours in [0, ``most``]: each at least half the range away from what it was."""
    values = plain(pixels)
    high = torch.as_tensor(most, dtype=values.dtype).expand_as(values)
    return torch.where(values.double() * 2 < high.double(), high, 0)


def take(tokens: SegmentTokens, index: Any) -> SegmentTokens:
    """Each field indexed alike."""
    return SegmentTokens(**{field.name: plain(getattr(tokens, field.name))[index] for field in fields(SegmentTokens)})


def real_tokens(tokens: SegmentTokens) -> SegmentTokens:
    """The tokens of one image (N) without padding."""
    return take(tokens, tokens.labels >= 0)


def images_of(tokens: SegmentTokens) -> list[SegmentTokens]:
    """One image (N), or the images of a batch (B, N), each with its padding."""
    if tokens.labels.ndim == 1:
        return [tokens]
    return [take(tokens, i) for i in range(len(tokens.labels))]


def rename(sample: Any, new_name: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """The sample with each label above 0 renamed; tokens stay in their order, foreground by ascending label."""
    if isinstance(sample, SegmentedImage):
        labels = plain(sample.segments)
        if labels.is_floating_point():
            # The property on dtypes reports it.
            raise NotApplicable("it returns labels that are no integers")
        return replace(sample, segments=SegmentMap(torch.where(labels > 0, new_name(labels), labels)))
    labels = torch.where(sample.labels > 0, new_name(sample.labels), sample.labels)
    renamed = replace(sample, labels=labels)
    # The background comes after the foreground, then padding.
    last = torch.iinfo(torch.int64).max
    order = torch.where(labels > 0, labels, last - 1 - labels).argsort(dim=-1, stable=True)
    if labels.ndim == 1:
        return take(renamed, order)
    return take(renamed, (torch.arange(len(labels))[:, None], order))


def check_tokens(expected: SegmentTokens, found: SegmentTokens, what: str) -> None:
    """Raise PropertyFailed unless both hold the same tokens, but for rounding."""
    check_equal(expected, found, what, only=("labels",))
    if not expected.labels.numel():
        # Of no segments it is not known what size they would have.
        return
    check_equal(expected, found, what, only=("patches", "alpha"), **rounding(expected.patches))
    check_equal(expected, found, what, only=("boxes", "areas"), atol=1e-5)


def wrapped_in(transform: Any) -> Any:
    """What a transform runs for each segment, as the user gave it; None if it does not say."""
    wrapped = getattr(transform, "transform_per_segment", None)
    # A transform of another library, in its adapter.
    return wrapped if callable(wrapped) else getattr(wrapped, "transform", None)


def parts_of(transform: Any) -> Iterator[Any]:
    """The transform, and what it holds if it is a container such as ``v2.Compose``, or runs it per segment."""
    yield transform
    wrapped = wrapped_in(transform)
    if wrapped is not None:
        yield from parts_of(wrapped)
    held = transform if isinstance(transform, torch.nn.Sequential) else getattr(transform, "transforms", ())
    if isinstance(held, list | tuple | torch.nn.Sequential | torch.nn.ModuleList):
        for part in held:
            yield from parts_of(part)


def mixes_images(augmentation: Augmentation) -> bool:
    """Whether it, or a part of it, is one of segaug's transforms across the images of a batch."""
    return any(isinstance(part, _MIXING) for part in parts_of(augmentation.given))


def has_streams_per_slot(augmentation: Augmentation) -> bool:
    """Whether pinned draws are not the same for all segments: those of albumentations come from a stream per slot."""
    return any(library_of(part) == "albumentations" for part in parts_of(augmentation.given))


def sees_filler(augmentation: Augmentation) -> bool:
    """Whether ``PerSegment`` runs what it cannot tell about coverage: it gets the mean colour where the segment is not."""
    inner = parts_of(wrapped_in(augmentation.given)) if isinstance(augmentation.given, PerSegment) else ()
    return any(
        type(part).__module__.partition(".")[0] not in ("kornia", "segaug", "torch", "torchvision")
        or isinstance(part, v2.Lambda)
        for part in inner
    )


def unless_mixing(augmentation: Augmentation) -> None:
    """Raise NotApplicable if it mixes the images of a batch."""
    if mixes_images(augmentation):
        raise NotApplicable("it mixes the images of a batch on purpose")


def drops_segments(augmentation: Augmentation) -> bool:
    """Whether it leaves segments out on purpose: it is ``SegmentDrop``, or says so by an attribute ``drops``."""
    return any(
        isinstance(part, SegmentDrop) or getattr(part, "drops", False) is True for part in parts_of(augmentation.given)
    )
