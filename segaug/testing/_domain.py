"""What a transform accepts: kinds of samples, dtypes, channels and sizes; as it says, or found by trying."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import torch
from hypothesis import strategies as st

from segaug._checks import check_int, describe
from segaug.testing._augmentation import Augmentation
from segaug.testing._probes import make_probe
from segaug.testing._property import KINDS
from segaug.testing._trials import error_of
from segaug.testing.strategies import annotated_images, images, segment_tokens, segmented_images

__all__ = ["Domain", "find_domain"]

_DTYPES = (torch.uint8, torch.float32)
_CHANNELS = (3, 1)
# Sides that are tried, and how often, as a transform may raise for some draws only.
_SIDES = (16, 64, 256)
_SMALL_SIDES = (1, 2, 3, 4, 6, 8, 12)
_TRIES = 3
# Before a kind that was not named is taken for granted.
_MANY_TRIES = 40
_LONGEST_MIN_SIDE = 512
# What is drawn has sides up to so many times the smallest that is accepted, and at least this.
_LARGEST_SIDE = 16


@dataclass(frozen=True)
class Domain:
    """What a transform accepts.

    Args:
        kinds: The kinds of samples.
        dtypes: The dtypes of images.
        channels: How many channels images may have.
        min_side: The shortest side of an image, in pixels.
        refused: What was tried and not accepted, and why: for the report.
    """

    kinds: tuple[str, ...]
    dtypes: tuple[torch.dtype, ...] = _DTYPES
    channels: tuple[int, ...] = _CHANNELS
    min_side: int = 1
    refused: dict[str, str] = field(default_factory=dict)

    def strategy(self, kind: str) -> st.SearchStrategy[Any]:
        """Samples of a kind."""
        common: dict[str, Any] = {"dtypes": self.dtypes, "channels": tuple(sorted(self.channels))}
        sides: dict[str, Any] = {"min_side": self.min_side, "max_side": max(_LARGEST_SIDE, self.min_side + 4)}
        if kind == "image":
            return images(**common, **sides)
        if kind == "image_batch":
            return images(**common, **sides, batch=(1, 3))
        if kind == "annotated_image":
            return annotated_images(**common, **sides)
        if kind == "segmented_image":
            return segmented_images(**common, **sides)
        patch = (self.min_side, max(8, self.min_side + 2))
        return segment_tokens(**common, patch_size=patch, batch=None if kind == "segment_tokens" else (1, 3))

    def probe(self, kind: str, *, segments: int = 2, side: int | None = None) -> Any:
        """One fixed sample without symmetries, whose segments (or pictures of a batch) are all alike: for counting."""
        side = max(4, self.min_side) if side is None else side
        return make_probe(kind, side, self.dtypes[0], self.channels[0], segments)


def find_domain(
    augmentation: Augmentation,
    *,
    accepts: str | Iterable[str] | None = None,
    dtypes: Sequence[torch.dtype] | torch.dtype | None = None,
    channels: Sequence[int] | int | None = None,
    min_side: int | None = None,
) -> Domain:
    """What a transform accepts: as given, and what is None by trying.

    Raises:
        TransformFailed: If a call does not return in time.
        TypeError: If an argument is of another type, or nothing of what was tried is accepted.
        ValueError: If a kind, dtype or number is unknown or impossible.
    """
    kinds = _check_kinds(accepts)
    if augmentation.input != "tensor":
        # Arrays and PIL images hold one image, and nothing beside it.
        if kinds not in (None, ("image",)):
            raise ValueError(f'accepts must be "image" with input={augmentation.input!r}, got {describe(accepts)}')
        kinds = ("image",)
    given_dtypes = _check_dtypes(dtypes)
    if augmentation.input == "pil":
        if given_dtypes not in (None, (torch.uint8,)):
            raise ValueError(f'dtypes must be torch.uint8 with input="pil", got {describe(dtypes)}')
        given_dtypes = (torch.uint8,)
    given_channels = _check_channels(channels)
    if min_side is not None and check_int("min_side", min_side, minimum=1) > _LONGEST_MIN_SIDE:
        raise ValueError(f"min_side must be at most {_LONGEST_MIN_SIDE}, got {min_side}")
    domain = Domain(kinds or KINDS, given_dtypes or _DTYPES, given_channels or _CHANNELS, min_side or 1)
    sides = tuple(side for side in _SIDES if side >= domain.min_side) or (domain.min_side,)
    found, refused = _try_kinds(augmentation, domain, sides, is_guess=kinds is None)
    if not found:
        if kinds is None:
            raise TypeError(f"transform must accept one of {', '.join(KINDS)}, and accepts none. {_together(refused)}")
        # What was promised and is not kept is a failure that the report shows, with its smallest example.
        return domain
    if kinds is None:
        domain = replace(domain, kinds=tuple(found), refused=refused)
    # The first side with which all found kinds work decides where to look for the rest.
    side = max(found.values())
    if given_dtypes is None:
        domain = _narrow(augmentation, domain, side, "dtypes")
    if given_channels is None:
        domain = _narrow(augmentation, domain, side, "channels")
    if min_side is None:
        domain = replace(domain, min_side=_smallest_side(augmentation, domain, side))
    return domain


def _together(refused: dict[str, str]) -> str:
    """The kinds and why each was refused; a reason that holds for several is said once."""
    kinds: dict[str, list[str]] = {}
    for kind, why in refused.items():
        kinds.setdefault(why, []).append(kind)
    return "; ".join(f"{', '.join(names)}: {why}" for why, names in kinds.items())


def _try_kinds(
    augmentation: Augmentation, domain: Domain, sides: Sequence[int], *, is_guess: bool
) -> tuple[dict[str, int], dict[str, str]]:
    found: dict[str, int] = {}
    refused: dict[str, str] = {}
    for kind in domain.kinds:
        for side in sides:
            pairs = list(product(domain.dtypes, domain.channels))
            errors = [error_of(augmentation, kind, side, *pair, tries=_TRIES) for pair in pairs]
            error = None if None in errors else errors[0]
            if error is None and is_guess:
                # One that acts for some draws only passes most of them untouched, whatever they are.
                error = error_of(augmentation, kind, side, *pairs[errors.index(None)], tries=_MANY_TRIES)
            if error is None:
                found[kind] = side
                break
            refused.setdefault(kind, str(error))
        if kind in found:
            refused.pop(kind, None)
    return found, refused


def _narrow(augmentation: Augmentation, domain: Domain, side: int, name: str) -> Domain:
    kept, refused = [], dict(domain.refused)
    for value in getattr(domain, name):
        changed: dict[str, Any] = {name: (value,)}
        tried = replace(domain, **changed)
        error = next(
            (
                error
                for kind in domain.kinds
                if (error := _any_error(augmentation, kind, side, tried.dtypes, tried.channels))
            ),
            None,
        )
        if error is None:
            kept.append(value)
        else:
            refused[f"{value} channels" if name == "channels" else str(value)] = error
    narrowed: dict[str, Any] = {name: tuple(kept)}
    return replace(domain, **narrowed, refused=refused) if kept else domain


def _any_error(
    augmentation: Augmentation, kind: str, side: int, dtypes: Iterable[torch.dtype], channels: Iterable[int]
) -> str | None:
    """None if one of the dtypes works with one of the numbers of channels, else why the first does not."""
    errors = [
        error_of(augmentation, kind, side, dtype, number, tries=_TRIES) for dtype in dtypes for number in channels
    ]
    return None if None in errors else errors[0]


def _smallest_side(augmentation: Augmentation, domain: Domain, side: int) -> int:
    for small in (*(small for small in _SMALL_SIDES if small < side), side):
        if all(
            error_of(augmentation, kind, small, dtype, channels, tries=_TRIES) is None
            for kind in domain.kinds
            for dtype in domain.dtypes
            for channels in domain.channels
        ):
            return small
    return side


def _check_kinds(accepts: Any) -> tuple[str, ...] | None:
    if accepts is None:
        return None
    kinds = (accepts,) if isinstance(accepts, str) else tuple(accepts) if isinstance(accepts, Iterable) else (accepts,)
    if not kinds or any(kind not in KINDS for kind in kinds):
        raise ValueError(f"accepts must name kinds of samples ({', '.join(KINDS)}), got {describe(accepts)}")
    return kinds


def _check_dtypes(dtypes: Any) -> tuple[torch.dtype, ...] | None:
    if dtypes is None:
        return None
    given = (dtypes,) if isinstance(dtypes, torch.dtype) else tuple(dtypes)
    if not given or any(not isinstance(d, torch.dtype) or not (d == torch.uint8 or d.is_floating_point) for d in given):
        raise ValueError(f"dtypes must be torch.uint8 or floating dtypes, got {describe(dtypes)}")
    return given


def _check_channels(channels: Any) -> tuple[int, ...] | None:
    if channels is None:
        return None
    given = (channels,) if isinstance(channels, int) else tuple(channels)
    if not given or any(number not in _CHANNELS for number in given):
        raise ValueError(f"channels must be 1 or 3, or both, got {describe(channels)}")
    return given
