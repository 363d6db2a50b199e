"""What holds for transforms that run another one for each segment: it is the plain one, and however it is run."""

import math
from typing import Any

import torch
from torchvision import tv_tensors

from segaug._checks import check_int
from segaug._streams import forked_streams
from segaug.structures import SegmentTokens
from segaug.testing._augmentation import Augmentation
from segaug.testing._compare import check_equal, plain
from segaug.testing._draws import RecordedDraws
from segaug.testing._errors import NotApplicable, PropertyFailed
from segaug.testing._property import declare
from segaug.testing.properties._edits import check_tokens, rounding, wrapped_in
from segaug.transforms import PerSegment

__all__ = ["batched_equals_looped", "full_mask_equals_plain"]

# How often a right transform may fail.
_LEVEL = 1e-9
_PROJECTIONS = 8
_CHUNK = 50


@declare("segment_tokens", statistical=True, results_per_call=3)
def full_mask_equals_plain(
    transform: Any, sample: Any, *, seed: int = 0, calls: int = 500, plain_transform: Any = None
) -> None:
    """With a full mask, T of a segment is t of its patch, for T that runs t per segment: in law, or bit for bit.

    If T says that it is not ``vectorized``, both are equal bit for bit under each seed, for one segment. Otherwise, where t
    draws nothing, they are equal within rounding (one level of integers, 1e-5 of floats); else fixed projections of
    ``calls`` results of each are compared by the two-sample test of Kolmogorov and Smirnov, whose statistic must be below
    its bound (Wei and Dudley, "Two-sample Dvoretzky-Kiefer-Wolfowitz inequalities", 2012, theorem 1) at a level of 1e-9.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: Tokens; the first is used, with full coverage.
        seed: Where the draws start.
        calls: Results of each that are compared.
        plain_transform: t. None: T's attribute ``transform_per_segment``.

    Raises:
        PropertyFailed: If they differ.
        NotApplicable: If T does not say what t is, or has a ``p`` below 1.

    Example:
        >>> from torchvision.transforms import v2
        >>> from segaug import PerSegment, SegmentTokens
        >>> patch, alpha = torch.tensor([[[[0.2, 0.6]]]]), torch.ones(1, 1, 2)
        >>> one = SegmentTokens(patch, alpha, torch.ones(1, 4), torch.ones(1), torch.ones(1).long())
        >>> full_mask_equals_plain(PerSegment(v2.RandomHorizontalFlip()), one)
    """
    check_int("calls", calls, minimum=1)
    augmentation = Augmentation.of(transform)
    given = augmentation.given
    wrapped = wrapped_in(given) if plain_transform is None else plain_transform
    if wrapped is None:
        raise NotApplicable("it does not say by an attribute transform_per_segment which transform it runs per segment")
    if getattr(given, "p", 1.0) < 1.0:
        raise NotApplicable("it leaves some segments as they are, by its p")
    if not sample.num_tokens:
        raise NotApplicable("the sample has no tokens")
    interface = getattr(given, "interface", None)
    if getattr(interface, "geometry", False):
        raise NotApplicable("the transform that it runs takes the coverage too")
    each = Augmentation(wrapped, deadline=augmentation.deadline)
    if each.library == "callable":
        each = Augmentation(wrapped, input=getattr(interface, "input", "tensor"), deadline=augmentation.deadline)
    picture = plain(sample.patches)[0]
    if each.library == "kornia" and picture.dtype == torch.uint8:
        # It takes floats only, which is not so of what runs it per segment.
        picture = picture / 255
    image = tv_tensors.Image(picture)
    one = _copies(picture, 1)
    if getattr(given, "vectorized", True) is False:
        for own in range(seed, seed + 5):
            found = plain(augmentation.seeded(one, own).patches)[0]
            check_equal(plain(each.seeded(image, own)), found, f"a full mask under seed {own}: patch")
        return
    if _draws_nothing(each, image, seed) and _draws_nothing(augmentation, one, seed):
        expected = plain(each.seeded(image, seed))
        found = plain(augmentation.seeded(one, seed).patches)[0]
        check_equal(expected, found, "a full mask: patch", **rounding(expected))
        return
    with forked_streams(seed, []):
        each.reseed(seed)
        first = torch.stack([plain(each(image)) for _ in range(calls)])
    second = plain(augmentation.seeded(_copies(picture, calls), seed).patches)
    if first.is_floating_point():
        # Segments hold colours in [0, 1], which some transforms leave.
        first = first.clamp(0.0, 1.0)
    _check_same_law(first, second, "with a full mask")


@declare("segment_tokens", statistical=True, results_per_call=3)
def batched_equals_looped(transform: Any, sample: Any, *, seed: int = 0, calls: int = 500) -> None:
    """T(x) and T'(x) have the same law, where T' is T with ``vectorized=False``; where nothing is drawn they are equal.

    Equal within rounding (one level of integers, 1e-5 of floats). The law is compared as in ``full_mask_equals_plain``, for
    the patch and the coverage of the first token.

    Args:
        transform: The transform, or an ``Augmentation`` with a factory that takes ``vectorized``; none is needed for
            ``PerSegment``.
        sample: Tokens.
        seed: Where the draws start.
        calls: Results of each that are compared.

    Raises:
        PropertyFailed: If they differ.
        NotApplicable: If T has no attribute ``vectorized`` that is true.

    Example:
        >>> from torchvision.transforms import v2
        >>> from segaug import PerSegment, SegmentTokens
        >>> patch, alpha = torch.tensor([[[[0.2, 0.6]]]]), torch.ones(1, 1, 2)
        >>> one = SegmentTokens(patch, alpha, torch.ones(1, 4), torch.ones(1), torch.ones(1).long())
        >>> batched_equals_looped(PerSegment(v2.RandomHorizontalFlip()), one)
    """
    check_int("calls", calls, minimum=1)
    augmentation = Augmentation.of(transform)
    if getattr(augmentation.given, "vectorized", False) is not True:
        raise NotApplicable("it has no option vectorized that is on")
    if not sample.num_tokens:
        raise NotApplicable("the sample has no tokens")
    looped = _looped(augmentation)
    if _draws_nothing(augmentation, sample, seed) and _draws_nothing(looped, sample, seed):
        check_tokens(looped.seeded(sample, seed), augmentation.seeded(sample, seed), "batched against looped")
        return
    patch, alpha = plain(sample.patches)[0], plain(sample.alpha)[0]
    results = [augmentation.seeded(_copies(patch, calls, alpha), seed)]
    with forked_streams(seed, []):
        looped.reseed(seed)
        # A few at a time, each within the deadline.
        parts = [looped(_copies(patch, min(_CHUNK, calls - i), alpha)) for i in range(0, calls, _CHUNK)]
    second, first = (
        torch.cat([torch.cat([plain(r.patches), plain(r.alpha).unsqueeze(-3)], dim=-3) for r in own])
        for own in (results, parts)
    )
    _check_same_law(first, second, "batched against looped")


def _looped(augmentation: Augmentation) -> Augmentation:
    given = augmentation.given
    if augmentation.factory is not None or type(given) is not PerSegment:
        return augmentation.variant(vectorized=False)
    interface = given.interface
    return augmentation.wrap(
        PerSegment(
            wrapped_in(given),
            p=given.p,
            background=given.background,
            vectorized=False,
            input=interface.input,
            geometry=interface.geometry,
        )
    )


def _copies(patch: torch.Tensor, count: int, alpha: torch.Tensor | None = None) -> SegmentTokens:
    """One segment so many times; with full coverage if there is no ``alpha``."""
    if alpha is None:
        alpha = torch.full(patch.shape[-2:], 255 if patch.dtype == torch.uint8 else 1, dtype=patch.dtype)
    return SegmentTokens(
        tv_tensors.Image(patch.expand(count, *patch.shape).clone()),
        tv_tensors.Mask(alpha.expand(count, *alpha.shape).clone()),
        torch.tensor([0.0, 0.0, 0.5, 0.5]).repeat(count, 1),
        torch.full((count,), 0.25),
        torch.arange(1, count + 1),
    )


def _draws_nothing(augmentation: Augmentation, sample: Any, seed: int) -> bool:
    draws = RecordedDraws()
    first = augmentation.under(draws, sample, seed)
    if draws.calls:
        return False
    try:
        for other in range(seed + 1, seed + 9):
            check_equal(first, augmentation.seeded(sample, other), "")
    except PropertyFailed:
        return False
    return True


def _check_same_law(first: torch.Tensor, second: torch.Tensor, what: str) -> None:
    """Compare two samples of pixels (n, ...) by their projections, rounding allowed for."""
    if first.shape[1:] != second.shape[1:]:
        raise PropertyFailed(f"{what}: results are {tuple(second.shape[1:])}, expected {tuple(first.shape[1:])}")
    if first.dtype != second.dtype:
        raise PropertyFailed(f"{what}: results are {second.dtype}, expected {first.dtype}")
    count = min(len(first), len(second))
    slack = rounding(first)["atol"] if first.is_floating_point() else 1.0
    rows = [layer.flatten(1).double() for layer in (first[:count], second[:count])]
    pixels = rows[0].shape[1]
    weights = torch.ones(_PROJECTIONS, pixels, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    # The mean of all, of random halves against each other, and of random small parts.
    weights[1:5] = torch.randint(0, 2, (4, pixels), generator=generator).double() * 2 - 1
    weights[5:] = torch.rand(_PROJECTIONS - 5, pixels, generator=generator).double() < 0.25
    weights /= weights.abs().sum(1, keepdim=True).clamp(min=1)
    # 2.16863 is the constant of the bound for samples as small as 4.
    bound = math.sqrt(math.log(2.16863 * _PROJECTIONS / _LEVEL) / count)
    for number in range(_PROJECTIONS):
        one, other = (values @ weights[number] for values in rows)
        distance = max(_excess(one, other, slack), _excess(other, one, slack))
        if distance > bound:
            raise PropertyFailed(
                f"{what}: projection {number} of {count} results has the mean {other.mean():.4g}, expected "
                f"{one.mean():.4g}; the distributions are {distance:.2f} apart, expected at most {bound:.2f}"
            )


def _excess(one: torch.Tensor, other: torch.Tensor, slack: float) -> float:
    """How far the distribution function of ``one`` is above that of ``other`` moved by ``slack``, at most."""
    points = one.sort().values
    share = torch.arange(1, len(points) + 1, dtype=torch.float64) / len(points)
    other_share = torch.searchsorted(other.sort().values, points + slack + 1e-9, right=True) / len(other)
    return float((share - other_share).max())
