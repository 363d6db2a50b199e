"""Trial calls: whether a transform takes a sample, and whether it moves pixels."""

from collections.abc import Iterator
from typing import Any

import torch
from torchvision import tv_tensors

from segaug.structures import SegmentedImage, SegmentTokens
from segaug.testing._augmentation import Augmentation
from segaug.testing._compare import plain
from segaug.testing._draws import PinnedDraws
from segaug.testing._errors import DeadlineExceeded, NotApplicable, TransformFailed
from segaug.testing._probes import make_probe

__all__ = ["error_of", "find_is_geometric"]

# Kinds whose masks, maps or coverage tell whether pixels moved.
_WITH_MASKS = ("annotated_image", "segmented_image", "segment_tokens", "token_batch")
_MOVE_TRIES = 20
# Quantiles of draws; not the very ends, where a logarithm is infinite.
_RARE = (0.01, 0.99)
_MOVE_SIDE = 8


def error_of(
    augmentation: Augmentation, kind: str, side: int, dtype: torch.dtype, channels: int, *, tries: int
) -> str | None:
    """Why a transform does not take a sample of a kind; None if it does, for some seeds and for rare draws.

    Raises:
        DeadlineExceeded: If a call does not return in time; with the sample.
    """
    sample = make_probe(kind, side, dtype, channels, 2)
    for seed, result in _results(augmentation, sample, tries):
        if isinstance(result, DeadlineExceeded):
            result.sample, result.seed = sample, seed
            raise result
        if isinstance(result, TransformFailed):
            return str(result)
    return None


def _results(augmentation: Augmentation, sample: Any, tries: int) -> Iterator[tuple[int, Any]]:
    """The results of calls, or the errors that they ended with: for some seeds, then for rare draws.

    With all draws small a transform acts that would for few seeds, as one does that asks for ``rand() < p``.
    """
    for seed in range(tries):
        try:
            yield seed, augmentation.seeded(sample, seed)
        except TransformFailed as error:
            yield seed, error
    for u in _RARE:
        try:
            yield 0, augmentation.under(PinnedDraws(u), sample, 0)
        except (DeadlineExceeded, NotApplicable):
            # One that draws until a draw is accepted never ends if all draws are the same.
            pass
        except TransformFailed as error:
            yield 0, error


def find_is_geometric(
    augmentation: Augmentation, kinds: tuple[str, ...], dtype: torch.dtype, channels: int, min_side: int
) -> bool | None:
    """Whether a transform moves pixels, by what it does to masks, or to a picture alone; None if that cannot be told."""
    side = max(_MOVE_SIDE, min_side)
    # Transforms of the libraries take masks beside pictures, also where only pictures are to be tried.
    tried = [kind for kind in _WITH_MASKS if kind in kinds]
    if not tried and augmentation.library != "callable":
        tried = ["annotated_image"]
    for kind in tried:
        verdict = _by_masks(augmentation, make_probe(kind, side, dtype, channels, 2))
        if verdict is not None:
            return verdict
    picture = [kind for kind in kinds if kind not in _WITH_MASKS]
    return _by_pixels(augmentation, make_probe(picture[0], side, dtype, channels, 2)) if picture else None


def _by_masks(augmentation: Augmentation, sample: Any) -> bool | None:
    """True if masks change; False if pixels do and masks never; None if nothing ever changes."""
    acts = False
    for _, result in _results(augmentation, sample, _MOVE_TRIES):
        if isinstance(result, TransformFailed):
            continue
        if not _same(_mask(sample), _mask(result)):
            return True
        acts = acts or not _same(_pixels(sample), _pixels(result)) or _moves_positions(sample, result)
    return False if acts else None


def _by_pixels(augmentation: Augmentation, sample: torch.Tensor) -> bool | None:
    """True if the same pixels come out at other places, or some of them; None otherwise, as colours and blurs look alike."""
    given = _columns(sample)
    for _, result in _results(augmentation, sample, _MOVE_TRIES):
        if isinstance(result, TransformFailed) or _same(sample, result):
            continue
        found = _columns(result)
        if found == given or (result.shape != sample.shape and found <= given):
            return True
    return None


def _columns(picture: torch.Tensor) -> set[tuple[float, ...]]:
    """The colours of the pixels, of which the probe has no two alike where that can be."""
    pixels = plain(picture).movedim(-3, -1)
    return {tuple(colour) for colour in pixels.reshape(-1, pixels.shape[-1]).tolist()}


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and torch.equal(plain(one), plain(other).to(one.dtype))


def _mask(sample: Any) -> torch.Tensor:
    if isinstance(sample, SegmentTokens):
        return sample.alpha
    return sample.segments if isinstance(sample, SegmentedImage) else sample["masks"]


def _pixels(sample: Any) -> torch.Tensor:
    if isinstance(sample, SegmentTokens):
        return sample.patches
    image: tv_tensors.Image = sample.image if isinstance(sample, SegmentedImage) else sample["image"]
    return image


def _moves_positions(before: Any, after: Any) -> bool:
    """Whether tokens have other places: then the transform acts, and moves no pixels."""
    return isinstance(before, SegmentTokens) and not _same(before.boxes, after.boxes)
