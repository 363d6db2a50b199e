"""Where an augmentation's randomness comes from: its seed, all of it, and nothing else."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from segaug._streams import forked_streams
from segaug.structures import SegmentTokens
from segaug.testing._augmentation import Augmentation
from segaug.testing._compare import check_equal, plain
from segaug.testing._draws import RecordedDraws
from segaug.testing._errors import NotApplicable, PropertyFailed, TransformFailed
from segaug.testing._own_streams import snapshot_defaults
from segaug.testing._property import declare
from segaug.testing.properties._pixels import pixels, with_pixels

__all__ = [
    "draws_do_not_depend_on_pixels",
    "generator_decides",
    "is_identity_at_p_zero",
    "is_reproducible",
    "leaves_global_streams_alone",
]


@declare()
def is_identity_at_p_zero(transform: Any, sample: Any, *, seed: int = 0) -> None:
    """With p = 0, T(x) = x, bit for bit, whatever is drawn.

    Tried as seeded, and with each draw from torch at its smallest, 0.0, where ``draw <= p`` differs from ``draw < p``.

    Args:
        transform: The transform, or an ``Augmentation``; by its factory, or its attribute ``p``, it is made with ``p=0.0``.
        sample: A sample of any kind.
        seed: The seed of all streams.

    Raises:
        PropertyFailed: If something has changed.
        NotApplicable: If how to make it with p = 0 is not known.

    Example:
        >>> def make(p=0.5):
        ...     return lambda image: 1 - image if torch.rand(()) <= p else image
        >>> is_identity_at_p_zero(Augmentation(make(), factory=make), torch.zeros(1, 1, 1))
        Traceback (most recent call last):
        ...
        segaug.testing._errors.PropertyFailed: with p = 0 and all draws 0.0: image[0, 0, 0] is 1, expected 0
    """
    augmentation = Augmentation.of(transform).variant(p=0.0)
    check_equal(sample, augmentation.seeded(sample, seed), "with p = 0")
    try:
        pinned = augmentation.pinned(sample, 0.0)
    except NotApplicable:
        return  # It draws from elsewhere too; the plain part has been said.
    check_equal(sample, pinned, "with p = 0 and all draws 0.0")


@declare()
def is_reproducible(transform: Any, sample: Any, *, seed: int = 0) -> None:
    """T_s(x) = T_s(x), bit for bit, also after other calls in between, and for a new copy of T.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: A sample of any kind.
        seed: The seed of all streams.

    Raises:
        PropertyFailed: If two results differ, or a later call raises.

    Example:
        >>> import itertools
        >>> class Fade(torch.nn.Module):
        ...     calls = itertools.count()
        ...
        ...     def forward(self, image):
        ...         return image / 2 ** next(self.calls)
        >>> is_reproducible(Fade(), torch.ones(1, 1, 1))
        Traceback (most recent call last):
        ...
        segaug.testing._errors.PropertyFailed: the same seed again: image[0, 0, 0] is 0.5, expected 1
    """
    augmentation = Augmentation.of(transform).fresh()
    first = augmentation.seeded(sample, seed)
    try:
        check_equal(first, augmentation.seeded(sample, seed), "the same seed again")
        used = augmentation.fresh()
        for other, other_seed in ((_of_other_size(sample), seed + 1), (sample, seed + 2)):
            try:
                used.seeded(other, other_seed)
            except TransformFailed:
                continue  # The other size may be none that it takes.
        check_equal(first, used.seeded(sample, seed), "the same seed after other calls")
    except TransformFailed as error:
        raise PropertyFailed(f"the same seed after other calls: {error}") from error


def _of_other_size(sample: Any) -> Any:
    if isinstance(sample, SegmentTokens):
        return sample[..., : max(0, sample.num_tokens - 1)]
    if isinstance(sample, torch.Tensor):
        return with_pixels(sample, torch.cat([plain(sample), plain(sample)[..., -1:, :]], -2))
    return sample


@declare()
def leaves_global_streams_alone(transform: Any, sample: Any, *, seed: int = 0) -> None:
    """With a generator given, T(x) leaves the default streams of torch, Python and numpy in the states that they have.

    Args:
        transform: The transform, or an ``Augmentation`` whose factory takes ``generator=``.
        sample: A sample of any kind.
        seed: The seed of the generator and of all other streams.

    Raises:
        PropertyFailed: If it draws from a default stream, or seeds one.
        NotApplicable: If how to make it with a generator is not known.

    Example:
        >>> def make(generator=None):
        ...     return lambda image: image + torch.rand(())
        >>> leaves_global_streams_alone(Augmentation(make(), factory=make), torch.ones(1, 1, 1))
        Traceback (most recent call last):
        ...
        segaug.testing._errors.PropertyFailed: given a generator, it moves torch's default stream
    """
    augmentation = Augmentation.of(transform)
    _check_may_take_generator(augmentation)
    with forked_streams(seed, []):
        torch.manual_seed(seed)
        given = augmentation.variant(generator=torch.Generator().manual_seed(seed))
        _call_unmoved(lambda: given(sample))


def _check_may_take_generator(augmentation: Augmentation) -> None:
    # What these transforms do not know they take, with a warning, when they are made, and as data when they are called.
    if augmentation.library == "albumentations":
        raise NotApplicable("albumentations' transforms hold streams of their own and take no generator")


def _call_unmoved(call: Callable[[], Any]) -> Any:
    before = snapshot_defaults()
    result = call()
    after = snapshot_defaults()
    for whose, one, other in zip(("torch's", "Python's", "numpy's"), before, after, strict=True):
        if one != other:
            raise PropertyFailed(f"given a generator, it moves {whose} default stream")
    return result


@declare()
def generator_decides(transform: Any, sample: Any, *, seed: int = 0) -> None:
    """With a generator g, T(x) depends on x and the state of g alone, and moves no default stream.

    The generator is given when T is made (by its factory) or, where T takes it there without a word, at the call: T(x,
    generator=g). An argument that is taken and not used is what this finds.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: A sample of any kind.
        seed: The seed of the generator; the default streams get others.

    Raises:
        PropertyFailed: If other default streams give another result, or are moved.
        NotApplicable: If it takes no generator, or draws nothing.

    Example:
        >>> def noise(image, **options):
        ...     return image + torch.rand(image.shape)
        >>> generator_decides(noise, torch.zeros(1, 1, 1))
        Traceback (most recent call last):
        ...
        segaug.testing._errors.PropertyFailed: T(x, generator=g): given a generator, it moves torch's default stream
    """
    augmentation = Augmentation.of(transform)
    if not _draws(augmentation, sample, seed):
        raise NotApplicable("it draws nothing")
    where, call = _with_generator(augmentation, sample, seed)
    results = []
    for other in (seed, seed + 1, seed + 2):
        with forked_streams(other, []):
            torch.manual_seed(other)
            generator = torch.Generator().manual_seed(seed)
            try:
                results.append(_call_unmoved(partial(call, generator)))
            except PropertyFailed as error:
                raise PropertyFailed(f"{where}: {error}") from None
        check_equal(results[0], results[-1], f"{where}, g of one seed, other default streams")


def _draws(augmentation: Augmentation, sample: Any, seed: int) -> bool:
    with forked_streams(seed, []):
        augmentation.reseed(seed)
        before = augmentation.streams()
        augmentation(sample)
        return before != augmentation.streams()


def _with_generator(augmentation: Augmentation, sample: Any, seed: int) -> tuple[str, Callable[[torch.Generator], Any]]:
    """How it is given a generator, in words and as a function."""
    _check_may_take_generator(augmentation)
    try:
        augmentation.variant(generator=torch.Generator())
    except NotApplicable:
        pass
    else:
        return "made with generator=g", lambda generator: augmentation.variant(generator=generator)(sample)
    try:
        augmentation.seeded(sample, seed, generator=torch.Generator())
    except TransformFailed as error:
        if isinstance(error.__cause__, TypeError) or "generator" in str(error.__cause__):
            raise NotApplicable("it takes no generator, made or called") from error
        raise
    return "T(x, generator=g)", lambda generator: augmentation(sample, generator=generator)


@declare()
def draws_do_not_depend_on_pixels(transform: Any, sample: Any, *, seed: int = 0) -> None:
    """For x and x' that differ in pixel values alone, T_s(x) and T_s(x') leave all streams in the same states.

    Else what one picture shows decides on what the next one draws, and a run changes when one file of the data set does.
    x' is black, the negative of x, and noise; patches stay multiplied by their coverage.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: A sample of any kind.
        seed: The seed of all streams.

    Raises:
        PropertyFailed: If a stream ends elsewhere; the message says what was drawn from torch.

    Example:
        >>> def noise(image):
        ...     return image + torch.rand(image.shape) if image.any() else image
        >>> draws_do_not_depend_on_pixels(noise, torch.ones(1, 1, 1))
        Traceback (most recent call last):
        ...
        segaug.testing._errors.PropertyFailed: for x it draws rand(1) from torch, for the same in black nothing
    """
    augmentation = Augmentation.of(transform)
    expected = _streams_after(augmentation, sample, seed)
    for what, other in _repainted(sample):
        if _streams_after(augmentation, other, seed) != expected:
            here, there = (_drawn(augmentation, one, seed) for one in (sample, other))
            if here == there:
                raise PropertyFailed(f"for the same {what} it draws another number of random numbers than for x")
            raise PropertyFailed(f"for x it draws {_trimmed(here)}, for the same {what} {_trimmed(there, False)}")


def _streams_after(augmentation: Augmentation, sample: Any, seed: int) -> tuple[Any, ...]:
    with forked_streams(seed, []):
        augmentation.reseed(seed)
        augmentation(sample)
        return augmentation.streams()


def _repainted(sample: Any) -> list[tuple[str, Any]]:
    values = pixels(sample)
    one = 1 if values.is_floating_point() else 255
    # White: for tokens, as far as they are covered.
    white = plain(sample.alpha)[..., None, :, :] if isinstance(sample, SegmentTokens) else torch.full_like(values, one)
    share = torch.rand(values.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(values.device)
    return [
        ("in black", with_pixels(sample, torch.zeros_like(values))),
        ("as its negative", with_pixels(sample, torch.where(white > values, white - values, 0).to(values.dtype))),
        ("of noise", with_pixels(sample, (white * share).to(values.dtype))),
    ]


def _drawn(augmentation: Augmentation, sample: Any, seed: int) -> list[tuple[str, int]]:
    recorded = RecordedDraws()
    augmentation.under(recorded, sample, seed)
    return recorded.calls


def _trimmed(calls: list[tuple[str, int]], is_full: bool = True) -> str:
    named = [f"{name}({count})" for name, count in calls[:6]] + ["..."] * (len(calls) > 6)
    return (", ".join(named) or "nothing") + (" from torch" if is_full else "")
