"""Every combination of changed and unchanged segments comes up, as often as it should."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch

from segaug._checks import check_int, check_probability
from segaug.structures import SegmentedImage, SegmentTokens
from segaug.testing._augmentation import Augmentation, vars_of
from segaug.testing._errors import NotApplicable, PropertyFailed
from segaug.testing._outcomes import FEWEST_CALLS, outcome, play
from segaug.testing._property import declare
from segaug.testing._spread import segment_outcomes, spread
from segaug.testing._statistics import ERROR_LEVEL, binomial_p, fisher_p
from segaug.testing.properties._independence import check_own_draws

__all__ = ["patterns_have_right_frequencies"]

_SEGMENTS = 3
# A pattern that is to be seen so often on average is missed by chance less than once in 1e12 times.
_EXPECTED_COUNT = 30
# For a picture alone, whose share is to be told from its square.
_FEWEST_FOR_SHARE = 600
_MOST_CALLS = 4000
# At p = 1 so many changed calls in a row leave this share of unchanged ones possible, at the error level.
_ALWAYS_CALLS = 200
_UNSEEN = 1 - ERROR_LEVEL ** (1 / _ALWAYS_CALLS)
# Of the libraries: what is changed with probability p, however it is called.
_PLAIN_FLIPS = ("HorizontalFlip", "RandomHorizontalFlip", "RandomVerticalFlip", "VerticalFlip")
# What is set if the transform has a p of 0 or 1, which shows nothing.
_TELLING = 0.5

Pattern = tuple[bool, ...]


@declare("segmented_image", "segment_tokens", "image", statistical=True)
def patterns_have_right_frequencies(
    transform: Any, sample: Any, *, seed: int = 0, calls: int = 200, probability: float | None = None
) -> None:
    """P(T changes exactly the segments in K) = p^|K| (1 - p)^(n - |K|) for all 2^n sets K of n equal segments.

    Each of three copies of the sample's first segment counts as changed or not. With ``probability``, or where T has an
    argument ``p`` and always does the same when it does something, p is known, and a picture alone is looked at as well
    (n = 1). Else p is the share that was found, and has to be the same for all segments. Calls are added until rare
    patterns can be expected too. Not applicable to transforms that treat a picture as a whole, or change always or never.

    Args:
        transform: The transform, or an ``Augmentation``.
        sample: A SegmentedImage, SegmentTokens or a picture, which must look different when it is changed.
        seed: Seeds the default streams.
        calls: How often to call it, at least.
        probability: p, if it is known.

    Raises:
        PropertyFailed: If a pattern comes up too often or too seldom; a right transform's do so once in 1e9 times.
        NotApplicable: As said above, and for a picture whose p is not known.

    Example:
        >>> from torchvision.transforms import v2
        >>> picture = torch.arange(12, dtype=torch.uint8).view(3, 2, 2)
        >>> patterns_have_right_frequencies(v2.RandomHorizontalFlip(0.3), picture, probability=0.3)
    """
    augmentation = Augmentation.of(transform)
    check_int("calls", calls, minimum=FEWEST_CALLS)
    if probability is not None:
        check_probability("probability", probability)
    given = sample
    if isinstance(sample, SegmentedImage | SegmentTokens):
        given = spread(sample, _SEGMENTS)
        check_own_draws(augmentation, given, seed)
    unseen = 0.0
    if probability is None and _is_plain_flip(augmentation):
        probability = float(augmentation.given.p)
    if probability is None:
        augmentation, probability = _known_probability(augmentation, given, seed)
        unseen = _UNSEEN
    patterns = _patterns(augmentation, given, seed, _enough(calls, probability, _count(given), unseen))
    if probability is not None:
        _check_known(patterns, probability, unseen)
        return
    if _count(given) == 1:
        raise NotApplicable("how often it should change a picture is not known: call this property with probability=")
    _check_estimated(patterns)


def _count(given: Any) -> int:
    return 1 if isinstance(given, torch.Tensor) else _SEGMENTS


def _rows(augmentation: Augmentation, given: Any, seed: int, calls: int) -> list[tuple[Any, ...]]:
    """The value of each segment, or of the picture, per call."""
    results = play(augmentation, given, seed, calls)
    if isinstance(given, torch.Tensor):
        return [(outcome(result)[0],) for result in results]
    return [tuple(value for value, _ in segment_outcomes(given, result, _SEGMENTS)[:_SEGMENTS]) for result in results]


def _unchanged(given: Any) -> tuple[Any, ...]:
    if isinstance(given, torch.Tensor):
        return (outcome(given)[0],)
    return tuple(value for value, _ in segment_outcomes(given, given, _SEGMENTS)[:_SEGMENTS])


def _patterns(augmentation: Augmentation, given: Any, seed: int, calls: int) -> list[Pattern]:
    before = _unchanged(given)
    return [
        tuple(now != then for now, then in zip(row, before, strict=True))
        for row in _rows(augmentation, given, seed, calls)
    ]


def _enough(calls: int, probability: float | None, count: int, unseen: float) -> int:
    rarest = min(probability, 1 - probability) if probability not in (None, 0.0, 1.0) else 0.5
    fewest = _FEWEST_FOR_SHARE if count == 1 and probability is not None else calls
    return max(calls, fewest, min(_MOST_CALLS, math.ceil(_EXPECTED_COUNT / (rarest * (1 - unseen)) ** count)))


def _known_probability(augmentation: Augmentation, given: Any, seed: int) -> tuple[Augmentation, float | None]:
    """The transform and its p; another one with a telling p, or None where p says something else."""
    try:
        always = augmentation.variant(p=1.0)
        results = set(_rows(always, given, seed, _ALWAYS_CALLS))
        own = vars_of(augmentation.given).get("p")
        if not isinstance(own, float) or not 0.05 <= own <= 0.95:
            own, chosen = _TELLING, augmentation.variant(p=_TELLING)
        else:
            chosen = augmentation
        # p is how often it does something only if that is one thing, done always at p = 1.
        if len(results) != 1 or any(now == then for now, then in zip(*results, _unchanged(given), strict=True)):
            return augmentation, None
        allowed = [{now, then} for now, then in zip(*results, _unchanged(given), strict=True)]
        rows = _rows(chosen, given, seed, FEWEST_CALLS)
    except NotApplicable:
        return augmentation, None
    if any(value not in values for row in rows for value, values in zip(row, allowed, strict=True)):
        return augmentation, None
    return chosen, own


def _is_plain_flip(augmentation: Augmentation) -> bool:
    kind = type(augmentation.given)
    return (
        kind.__name__ in _PLAIN_FLIPS
        and kind.__module__.partition(".")[0] in ("albumentations", "kornia", "torchvision")
        and isinstance(getattr(augmentation.given, "p", None), float | int)
        # kornia draws for the batch as well.
        and getattr(augmentation.given, "p_batch", 1.0) == 1.0
    )


def _check_known(patterns: Sequence[Pattern], probability: float, unseen: float) -> None:
    counts = Counter(patterns)
    segments = len(patterns[0])
    for pattern in itertools.product((False, True), repeat=segments):
        changed = sum(pattern)
        low, high = (
            p**changed * (1 - q) ** (segments - changed)
            for p, q in ((probability * (1 - unseen), probability), (probability, probability * (1 - unseen)))
        )
        value = 2**segments * binomial_p(counts[pattern], len(patterns), low, high)
        if value < ERROR_LEVEL:
            raise PropertyFailed(
                f"expected {_name(pattern)} in {high:.1%} of the calls (p = {probability:g}), got "
                f"{counts[pattern]} of {len(patterns)}"
            )


def _check_estimated(patterns: Sequence[Pattern]) -> None:
    columns = list(zip(*patterns, strict=True))
    if not any(any(column) and not all(column) for column in columns):
        raise NotApplicable(f"it {'changes' if all(columns[0]) else 'leaves'} a segment of this sample at every call")
    tests: list[tuple[str, float]] = []
    for i, j in itertools.combinations(range(len(columns)), 2):
        of = [False] * len(patterns) + [True] * len(patterns)
        tests.append((f"segments {i + 1} and {j + 1} changed equally often", fisher_p(of, [*columns[i], *columns[j]])))
    # Independent are all exactly if each is of what those before it did.
    for i in range(1, len(columns)):
        for done in itertools.product((False, True), repeat=i):
            event = [pattern[:i] == done for pattern in patterns]
            tests.append((f"segment {i + 1} to be changed whatever the others are", fisher_p(event, columns[i])))
    for what, value in tests:
        if len(tests) * value < ERROR_LEVEL:
            counts = Counter(patterns)
            seen = ", ".join(
                f"{_name(pattern)} {counts[pattern]}"
                for pattern in itertools.product((False, True), repeat=len(columns))
            )
            raise PropertyFailed(f"expected {what}, got p = {len(tests) * value:.1e}; of {len(patterns)} calls: {seen}")


def _name(pattern: Pattern) -> str:
    if len(pattern) == 1:
        return "a change" if pattern[0] else "no change"
    return "pattern " + "".join("01"[changed] for changed in pattern)
