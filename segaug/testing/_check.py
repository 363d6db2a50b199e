"""Hold all properties that apply against a transform."""

import difflib
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from segaug._checks import check_flag, check_int, describe
from segaug._streams import forked_streams
from segaug.testing import properties as properties  # enters them into PROPERTIES
from segaug.testing._augmentation import Augmentation
from segaug.testing._domain import Domain, find_domain
from segaug.testing._errors import DeadlineExceeded, PropertyFailed
from segaug.testing._own_streams import kept_streams
from segaug.testing._property import GATE, PROPERTIES, Property, all_properties
from segaug.testing._report import Outcome, Report
from segaug.testing._runner import deadline_outcome, run_property
from segaug.testing._trials import find_is_geometric

__all__ = ["Checker", "assert_augmentation", "check_augmentation", "select"]


def check_augmentation(
    transform: Any,
    *,
    accepts: str | Iterable[str] | None = None,
    is_geometric: bool | None = None,
    max_examples: int = 100,
    seed: int = 0,
    factory: Callable[..., Any] | None = None,
    input: str = "tensor",  # noqa: A002
    dtypes: Sequence[torch.dtype] | torch.dtype | None = None,
    channels: Sequence[int] | int | None = None,
    min_side: int | None = None,
    only: Iterable[str] | None = None,
    skip: Mapping[str, str] | None = None,
    deadline: float | None = 10.0,
    shrink: bool = True,
) -> Report:
    """Hold every property that applies against an augmentation, over hard samples that Hypothesis draws.

    What is None is found by trying, and the report says what was found. A deep copy of the transform is called; the transform
    itself only if it cannot be copied, which the report says. The streams that it draws from are put back, but for a call
    that does not return in time: it may still be drawing.

    Args:
        transform: A transform of torchvision, kornia, albumentations or segaug, or any callable on an image.
        accepts: The kinds of samples that it takes: ``"image"`` (C, H, W), ``"image_batch"`` (B, C, H, W),
            ``"annotated_image"`` (a dict of image, masks, boxes, keypoints and labels, as in torchvision's detection
            pipelines), ``"segmented_image"``, ``"segment_tokens"`` and ``"token_batch"``.
        is_geometric: Whether it moves pixels; masks, boxes and key points must then follow.
        max_examples: How many samples are drawn for each property.
        seed: Decides all draws.
        factory: Makes the transform with other arguments, as in ``factory(p=0.0)``: its class or a ``partial`` of it.
        input: What a callable that is of none of the libraries takes and returns for an image: ``"tensor"`` (C, H, W),
            ``"numpy"`` (H, W, C) or ``"pil"``.
        dtypes: The dtypes of images that it takes, of ``torch.uint8`` and the floating ones.
        channels: 1, 3 or both.
        min_side: The shortest side of an image that it takes, in pixels.
        only: Names of the properties to check, or one name; None for all.
        skip: Properties that it need not have, each with the reason, which the report repeats.
        deadline: Seconds that one call may take; None for no limit.
        shrink: Whether to look for the smallest failing sample.

    Returns:
        The :class:`Report`.

    Raises:
        TypeError: If ``transform`` is not callable, or accepts nothing of what was tried, or an argument is of another type.
        ValueError: If an argument is not allowed.

    Example:
        >>> from torchvision.transforms import v2
        >>> report = check_augmentation(v2.RandomHorizontalFlip(), accepts="annotated_image", max_examples=10)
        >>> report.ok, report["boxes_follow_masks"].status
        (True, 'held')
        >>> def brighten(image):
        ...     image += 10
        ...     return image
        >>> report = check_augmentation(brighten, accepts="image", only=["does_not_mutate_input"])
        >>> report["does_not_mutate_input"].status
        'failed'
    """
    chosen = select(only)
    checker = Checker(
        transform,
        accepts=accepts,
        is_geometric=is_geometric,
        max_examples=max_examples,
        seed=seed,
        factory=factory,
        input=input,
        dtypes=dtypes,
        channels=channels,
        min_side=min_side,
        skip=skip,
        deadline=deadline,
        shrink=shrink,
    )
    return checker.report([checker.run(held) for held in chosen])


def assert_augmentation(transform: Any, **options: Any) -> Report:
    """Hold every property that applies against an augmentation, and raise if one fails.

    Args:
        transform: As for :func:`check_augmentation`.
        options: As for :func:`check_augmentation`.

    Returns:
        The report, if nothing failed.

    Raises:
        PropertyFailed: If a property fails, or none applies. It is an AssertionError; its message is the report.
        TypeError: As for :func:`check_augmentation`.
        ValueError: As for :func:`check_augmentation`.

    Example:
        >>> from torchvision.transforms import v2
        >>> assert_augmentation(v2.RandomInvert(), accepts="image", max_examples=5).ok
        True
    """
    report = check_augmentation(transform, **options)
    if not report.ok:
        raise PropertyFailed(str(report))
    return report


class Checker:
    """A transform and what is known about it, found out at most once; and the properties, one by one.

    Args:
        transform: As for :func:`check_augmentation`.
        max_examples: As there.
        seed: As there.
        skip: As there.
        shrink: As there.
        accepts: As there, and so ``dtypes``, ``channels`` and ``min_side``.
        dtypes: See ``accepts``.
        channels: See ``accepts``.
        min_side: See ``accepts``.
        options: For :class:`Augmentation`.
    """

    def __init__(
        self,
        transform: Any,
        *,
        max_examples: int = 100,
        seed: int = 0,
        skip: Mapping[str, str] | None = None,
        shrink: bool = True,
        accepts: str | Iterable[str] | None = None,
        dtypes: Sequence[torch.dtype] | torch.dtype | None = None,
        channels: Sequence[int] | int | None = None,
        min_side: int | None = None,
        **options: Any,
    ) -> None:
        self._max_examples = check_int("max_examples", max_examples, minimum=1)
        self._seed = check_int("seed", seed, minimum=0)
        self._shrink = check_flag("shrink", shrink)
        self._skip = _check_skip(skip)
        self._augmentation = Augmentation(transform, min_side=1 if min_side is None else min_side, **options)
        self._accepted: dict[str, Any] = {
            "accepts": accepts,
            "dtypes": dtypes,
            "channels": channels,
            "min_side": min_side,
        }
        self._domain: Domain | None = None
        # What ran into the deadline: a call that never returned may still be running, and each further one might wait as
        # long.
        self._stuck: Outcome | None = None

    def run(self, held: Property) -> Outcome:
        """Hold one property."""
        if held.name in self._skip:
            return Outcome(held.name, "not applicable", self._skip[held.name])
        with forked_streams(self._seed, []), kept_streams(self._augmentation.given):
            self._find_out()
            if self._stuck is not None and held.name == self._stuck.name:
                return self._stuck
            if self._stuck is not None or self._domain is None:
                return Outcome(held.name, "not applicable", "not run: a call did not return in time")
            outcome = run_property(
                held,
                self._augmentation,
                self._domain,
                max_examples=self._max_examples,
                seed=self._seed,
                shrink=self._shrink,
            )
        if outcome.timed_out:
            self._stuck = replace(outcome, name=GATE)
        return outcome

    def report(self, outcomes: Sequence[Outcome]) -> Report:
        """The outcomes, with what was found out about the transform."""
        if self._stuck is not None and not any(outcome.timed_out for outcome in outcomes):
            # Whatever else was asked for: that it does not return is said.
            outcomes = [self._stuck, *(outcome for outcome in outcomes if outcome.name != GATE)]
        if self._domain is None:
            return Report(self._augmentation.name, tuple(outcomes))
        notes = _notes(self._augmentation, self._domain)
        return Report(self._augmentation.name, tuple(outcomes), self._domain.kinds, notes)

    def _find_out(self) -> None:
        if self._domain is not None or self._stuck is not None:
            return
        try:
            domain = find_domain(self._augmentation, **self._accepted)
            if self._augmentation.is_geometric is None:
                dtype, channels = domain.dtypes[0], domain.channels[0]
                self._augmentation.is_geometric = find_is_geometric(
                    self._augmentation, domain.kinds, dtype, channels, domain.min_side
                )
        except DeadlineExceeded as error:
            self._stuck = deadline_outcome(GATE, self._augmentation, error)
        else:
            self._domain = domain


def select(only: Iterable[str] | None) -> tuple[Property, ...]:
    """The properties of these names, in their order; all for None."""
    known = all_properties()
    names = list(known) if only is None else [only] if isinstance(only, str) else list(only)
    if not names:
        raise ValueError("only must name at least one property, got none")
    _check_names("only", names)
    return tuple(held for name, held in known.items() if name in names)


def _check_skip(skip: Any) -> dict[str, str]:
    if skip is None:
        return {}
    if not isinstance(skip, Mapping):
        raise TypeError(f"skip must map names of properties to reasons, got {describe(skip)}")
    _check_names("skip", skip)
    return {name: str(reason) for name, reason in skip.items()}


def _check_names(argument: str, names: Iterable[str]) -> None:
    unknown = [name for name in names if name not in PROPERTIES]
    if unknown:
        near = difflib.get_close_matches(str(unknown[0]), PROPERTIES, n=1)
        meant = f": did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{argument} must name properties, got {unknown[0]!r}{meant} ({', '.join(all_properties())})")


def _notes(augmentation: Augmentation, domain: Domain) -> tuple[str, ...]:
    moves = {True: "moves pixels", False: "moves no pixels", None: "moves pixels: not known"}[augmentation.is_geometric]
    dtypes = ", ".join(str(dtype).removeprefix("torch.") for dtype in domain.dtypes)
    channels = " or ".join(str(number) for number in domain.channels)
    side = f", sides of at least {domain.min_side}" if domain.min_side > 1 else ""
    copied = () if augmentation.is_copy else ("it cannot be copied, so it was called itself",)
    return (
        f"accepts {', '.join(domain.kinds)}: {dtypes}; {channels} channels{side}; {moves}",
        *copied,
        *(f"refuses {what}: {textwrap.shorten(why, 150, placeholder=' ...')}" for what, why in domain.refused.items()),
    )
