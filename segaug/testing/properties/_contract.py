"""What every caller of an augmentation relies on: structure, dtype, shape, range, no side effects."""

import contextlib
from typing import Any

import torch
from torchvision import tv_tensors

from segaug._streams import forked_streams
from segaug.structures import SegmentTokens
from segaug.testing._augmentation import Augmentation
from segaug.testing._compare import check_equal, copy_sample, named_leaves, plain
from segaug.testing._errors import NotApplicable, PropertyFailed, TransformFailed
from segaug.testing._property import declare
from segaug.testing.properties._pixels import pixels, pixels_name, place_of

__all__ = [
    "does_not_mutate_input",
    "keeps_dtype_and_device",
    "keeps_range",
    "keeps_shape",
    "prints_nothing",
    "refuses_unknown_arguments",
    "returns_same_structure",
]

# What no transform has an argument for.
_UNKNOWN = "no_such_argument"


@declare()
def returns_same_structure(transform: Any, sample: Any, *, seed: int = 0) -> None:
    """For every x, T(x) returns, in time and without raising, in the structure of x.

    The same parts by name, and tensors where tensors were. All other properties leave out a sample for which this fails.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: A sample of any kind.
        seed: The seed of all streams.

    Raises:
        PropertyFailed: If it raises, returns None or another structure, or is not back within the deadline.

    Example:
        >>> returns_same_structure(lambda image: None, torch.zeros(1, 1, 1))
        Traceback (most recent call last):
        ...
        segaug.testing._errors.PropertyFailed: <lambda>: it returned None
    """
    try:
        Augmentation.of(transform).seeded(sample, seed)
    except TransformFailed as error:
        raise PropertyFailed(str(error)) from error


@declare()
def keeps_dtype_and_device(transform: Any, sample: Any, *, seed: int = 0) -> None:
    """T(x) has the dtypes and devices of x, part by part; its image, x's dimensions and channels.

    Not for a transform that is there to change them, as ``v2.ToDtype`` or ``v2.Grayscale``: leave this property out for it.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: A sample of any kind.
        seed: The seed of all streams.

    Raises:
        PropertyFailed: If a dtype, device, or the number of dimensions or channels is another.

    Example:
        >>> keeps_dtype_and_device(lambda image: image / 255, torch.zeros(1, 1, 1, dtype=torch.uint8))
        Traceback (most recent call last):
        ...
        segaug.testing._errors.PropertyFailed: image is torch.float32, was torch.uint8
    """
    after = named_leaves(returned := Augmentation.of(transform).seeded(sample, seed))
    for name, was in named_leaves(sample).items():
        if not isinstance(was, torch.Tensor):
            continue
        for attribute in ("dtype", "device"):
            expected, found = getattr(was, attribute), getattr(after[name], attribute)
            if expected != found:
                raise PropertyFailed(f"{name} is {found}, was {expected}")
        if was.ndim != after[name].ndim:
            raise PropertyFailed(f"{name} has {after[name].ndim} dimensions, had {was.ndim}")
    expected, found = pixels(sample).shape[-3], pixels(returned).shape[-3]
    if expected != found:
        raise PropertyFailed(f"{pixels_name(sample)} has {found} channels, had {expected}")


@declare()
def keeps_shape(transform: Any, sample: Any, *, seed: int = 0) -> None:
    """T(x) has the shapes of x; if T is geometric, the parts of T(x) have one height and width with each other.

    Tokens may become fewer or more: then all fields agree on how many, and the patches keep their size unless T is geometric.

    Args:
        transform: The transform, or an ``Augmentation``, which can say that it is geometric; if it does not, all shapes are
            to be kept.
        sample: A sample of any kind.
        seed: The seed of all streams.

    Raises:
        PropertyFailed: If a shape is another, or two parts disagree.

    Example:
        >>> keeps_shape(lambda image: image[:, 1:], torch.zeros(1, 2, 2))
        Traceback (most recent call last):
        ...
        segaug.testing._errors.PropertyFailed: image has shape (1, 1, 2), expected (1, 2, 2) (with is_geometric=True it may)
    """
    augmentation = Augmentation.of(transform)
    returned = augmentation.seeded(sample, seed)
    if isinstance(sample, SegmentTokens):
        _check_token_shapes(sample, returned, is_free=augmentation.is_geometric is True)
    elif augmentation.is_geometric:
        _check_one_size(returned)
    else:
        after = named_leaves(returned)
        for name, was in named_leaves(sample).items():
            if isinstance(was, torch.Tensor) and was.shape != after[name].shape:
                found, expected = tuple(after[name].shape), tuple(was.shape)
                raise PropertyFailed(
                    f"{name} has shape {found}, expected {expected} (with is_geometric=True it may)"
                    if augmentation.is_geometric is None
                    else f"{name} has shape {found}, expected {expected}"
                )


def _check_token_shapes(before: SegmentTokens, after: SegmentTokens, *, is_free: bool) -> None:
    leading = after.labels.shape
    patch = after.patches.shape[-3:]
    for name, trailing in (("patches", patch), ("alpha", patch[-2:]), ("boxes", (4,)), ("areas", ())):
        found, expected = tuple(getattr(after, name).shape), (*leading, *trailing)
        if found != expected:
            raise PropertyFailed(f"{name} has shape {found}, expected {expected} to fit the other fields")
    if leading[:-1] != before.labels.shape[:-1]:
        raise PropertyFailed(f"the batch is {tuple(leading[:-1])}, was {tuple(before.labels.shape[:-1])}")
    if not is_free and patch != before.patches.shape[-3:]:
        raise PropertyFailed(f"patches are {tuple(patch)} each, were {tuple(before.patches.shape[-3:])}")


def _check_one_size(returned: Any) -> None:
    size = tuple(pixels(returned).shape[-2:])
    for name, part in named_leaves(returned).items():
        if isinstance(part, tv_tensors.Mask) and tuple(part.shape[-2:]) != size:
            raise PropertyFailed(f"{name} are of size {tuple(part.shape[-2:])}, the image is of {size}")
        if isinstance(part, tv_tensors.BoundingBoxes | tv_tensors.KeyPoints) and tuple(part.canvas_size) != size:
            raise PropertyFailed(f"{name} are on a canvas of {tuple(part.canvas_size)}, the image is of {size}")


@declare()
def keeps_range(transform: Any, sample: Any, *, seed: int = 0, atol: float = 1e-6) -> None:
    """Where x is in [0, 1], so is T(x), and finite: floats of pixels and coverage, boxes and areas of tokens.

    Boxes of segments also keep x0 <= x1 and y0 <= y1. Not for a transform that is there to leave the range, as
    ``v2.Normalize``. Not applicable to uint8 pictures, which cannot leave it.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: A sample of any kind.
        seed: The seed of all streams.
        atol: How far outside a value may be; for half precision, as far as its rounding.

    Raises:
        PropertyFailed: If a value is outside, infinite or NaN.
        NotApplicable: If nothing of the sample is in [0, 1] to begin with.

    Example:
        >>> keeps_range(lambda image: image * 1.5, torch.ones(1, 1, 1))
        Traceback (most recent call last):
        ...
        segaug.testing._errors.PropertyFailed: image[0, 0, 0] is 1.5, expected a number in [0, 1]
    """
    names = ("patches", "alpha") if isinstance(sample, SegmentTokens) else ("image",)
    before = named_leaves(sample)
    in_unit = [name for name in names if before[name].is_floating_point() and not _outside(before[name], atol).any()]
    is_placed = isinstance(sample, SegmentTokens) and _box_fault(sample, atol) is None
    if not in_unit and not is_placed:
        raise NotApplicable("its pictures are uint8" if pixels(sample).dtype == torch.uint8 else "x is not in [0, 1]")
    returned = Augmentation.of(transform).seeded(sample, seed)
    after = named_leaves(returned)
    for name in in_unit:
        _check_unit(name, after[name], atol)
    if is_placed:
        _check_unit("areas", returned.areas, atol)
        fault = _box_fault(returned, atol)
        if fault is not None:
            raise PropertyFailed(fault)


def _outside(values: torch.Tensor, atol: float) -> torch.Tensor:
    raw = plain(values)
    slack = max(atol, torch.finfo(raw.dtype).eps) if raw.is_floating_point() else 0
    # Written so that NaN is outside.
    return ~((raw >= -slack) & (raw <= 1 + slack))


def _check_unit(name: str, values: torch.Tensor, atol: float) -> None:
    # Another dtype is for the property on dtypes to report.
    if values.is_floating_point() and bool((wrong := _outside(values, atol)).any()):
        place = place_of(wrong)
        value = plain(values)[place].item()
        raise PropertyFailed(f"{name}[{', '.join(map(str, place))}] is {value:.8g}, expected a number in [0, 1]")


def _box_fault(tokens: SegmentTokens, atol: float) -> str | None:
    boxes, is_place = plain(tokens.boxes), plain(tokens.labels) > 0
    for wrong, expected in (
        (is_place & (_outside(boxes, atol).any(-1)), "numbers in [0, 1]"),
        (is_place & (boxes[..., 2:] < boxes[..., :2] - atol).any(-1), "x0 <= x1 and y0 <= y1"),
    ):
        if bool(wrong.any()):
            place = place_of(wrong)
            return f"boxes[{', '.join(map(str, place))}] is {boxes[place].tolist()}, expected {expected}"
    return None


@declare()
def does_not_mutate_input(transform: Any, sample: Any, *, seed: int = 0) -> None:
    """T leaves its input alone: after y = T(x), x is what it was, bit for bit.

    A view of x may be returned. Whatever T is given is looked at, so in-place writes show that a copy before T would hide.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: A sample of any kind and layout.
        seed: The seed of all streams.

    Raises:
        PropertyFailed: If x has changed.

    Example:
        >>> does_not_mutate_input(lambda image: image.add_(1), torch.zeros(1, 1, 1))
        Traceback (most recent call last):
        ...
        segaug.testing._errors.PropertyFailed: x after T(x): image[0, 0, 0] is 1, expected 0
    """
    augmentation = Augmentation.of(transform)
    given = copy_sample(sample)
    with forked_streams(seed, []):
        augmentation.reseed(seed)
        try:
            augmentation.in_place(given)
        finally:
            # Also if it raised, as it may have written by then.
            check_equal(sample, given, "x after T(x)")


@declare()
def prints_nothing(transform: Any, sample: Any, *, seed: int = 0) -> None:
    r"""T(x) writes nothing to stdout or stderr.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: A sample of any kind.
        seed: The seed of all streams.

    Raises:
        PropertyFailed: If it printed.

    Example:
        >>> prints_nothing(lambda image: print(image.shape) or image, torch.zeros(1, 1, 1))
        Traceback (most recent call last):
        ...
        segaug.testing._errors.PropertyFailed: it printed 'torch.Size([1, 1, 1])\n'
    """
    augmentation = Augmentation.of(transform).fresh()
    augmentation.seeded(sample, seed)
    if augmentation.printed:
        text = augmentation.printed
        raise PropertyFailed(f"it printed {text[:80]!r}{'...' if len(text) > 80 else ''}")


@declare()
def refuses_unknown_arguments(transform: Any, sample: Any, *, seed: int = 0) -> None:
    """T(x, k=v) raises for a k that T does not know, as does making T with it.

    By a TypeError, or by a ValueError or KeyError that names it. A misspelt argument is else lost without a word; a warning
    does not count. How T is made is tried if a factory is known. Calls of albumentations' transforms are left out: by their
    documentation, each keyword is data, and what none of their targets is called is passed on.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: A sample of any kind.
        seed: The seed of all streams.

    Raises:
        PropertyFailed: If the argument is taken, or refused by an error that does not say so.
        NotApplicable: If T takes any keyword by design, and no factory is known.

    Example:
        >>> refuses_unknown_arguments(lambda image, **options: image, torch.zeros(1, 1, 1))
        Traceback (most recent call last):
        ...
        segaug.testing._errors.PropertyFailed: T(x, no_such_argument=1) returned, expected a TypeError
    """
    augmentation = Augmentation.of(transform)
    if augmentation.factory is not None:
        # NotApplicable is how variant says that there was a TypeError.
        with contextlib.suppress(NotApplicable):
            _expect_refusal(f"factory({_UNKNOWN}=1)", lambda: augmentation.variant(**{_UNKNOWN: 1}))
    if augmentation.library == "albumentations":
        if augmentation.factory is None:
            raise NotApplicable("its call takes any keyword as data")
        return
    if augmentation.library == "kornia" and isinstance(sample, dict):
        raise NotApplicable("kornia's container, not the transform itself, takes the keywords of an annotated image")
    augmentation.seeded(sample, seed)
    _expect_refusal(f"T(x, {_UNKNOWN}=1)", lambda: augmentation.seeded(sample, seed, **{_UNKNOWN: 1}))


def _expect_refusal(what: str, call: Any) -> None:
    try:
        call()
    except TransformFailed as error:
        cause = error.__cause__
        if isinstance(cause, TypeError) or (isinstance(cause, ValueError | KeyError) and _UNKNOWN in str(cause)):
            return
        raise PropertyFailed(f"{what}: {error}, expected a TypeError") from error
    raise PropertyFailed(f"{what} returned, expected a TypeError")
