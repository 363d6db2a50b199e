"""Exact tests on counts: whether two outcomes are independent, and whether a share is what it should be."""

import math
from collections import Counter
from collections.abc import Hashable, Sequence

__all__ = ["ERROR_LEVEL", "binomial_p", "dependence_p", "fisher_p"]

# How likely a property may fail for a right transform, whatever its distribution: once in a billion runs.
ERROR_LEVEL = 1e-9
# Up to so many different outcomes they are told apart one by one; above, by where their numbers lie.
_MOST_CATEGORIES = 8
# Sums of rounded probabilities that should tie must do so.
_SLACK = 1e-9


def fisher_p(first: Sequence[bool], second: Sequence[bool]) -> float:
    """How likely two independent sequences agree or disagree as often as these: Fisher's exact test, two-sided.

    Exact for any number of pairs, if in one of the sequences every order is as likely as the others.

    Args:
        first: Whether an event happened, per trial.
        second: The same for another event.

    Returns:
        The p value, in [0, 1]; 1 if one of the events happened always or never.

    Example:
        >>> fisher_p([True, False] * 10, [True, False] * 10) < 1e-4
        True
        >>> fisher_p([True, False] * 10, [True, True, False, False] * 5)
        1.0
    """
    total, ones, others = len(first), sum(first), sum(second)
    both = sum(a and b for a, b in zip(first, second, strict=True))
    low, high = max(0, ones + others - total), min(ones, others)
    if low == high:
        return 1.0
    whole = _log_choose(total, others)
    tail = [_log_choose(ones, k) + _log_choose(total - ones, others - k) - whole for k in range(low, high + 1)]
    return _two_sided(tail, both - low)


def binomial_p(count: int, trials: int, low: float, high: float | None = None) -> float:
    """How likely a count is as far off, if each of ``trials`` succeeds with a probability in [low, high].

    Args:
        count: How many succeeded.
        trials: Of how many.
        low: The probability, or the smallest that it may be.
        high: The largest that it may be; ``low`` if None.

    Returns:
        Twice the smaller tail, at most 1.

    Example:
        >>> binomial_p(0, 40, 0.5) < 1e-11, binomial_p(20, 40, 0.5)
        (True, 1.0)
    """
    high = low if high is None else high
    below = math.fsum(_binomial(k, trials, low) for k in range(count + 1))
    above = math.fsum(_binomial(k, trials, high) for k in range(count, trials + 1))
    return min(1.0, 2 * min(below, above))


def dependence_p(
    first: Sequence[tuple[Hashable, tuple[float, ...]]], second: Sequence[tuple[Hashable, tuple[float, ...]]]
) -> float:
    """How likely two sequences of outcomes look as dependent as these, if they are independent.

    Every outcome is a value and some numbers that follow from it. A sequence is split in two in several ways, each by itself
    alone: by single values if there are few, and by the numbers' medians and their distances from them. Every split of the
    one is held against every split of the other.

    Args:
        first: The outcomes of one, per trial.
        second: Those of the other.

    Returns:
        The smallest of Fisher's p values, times how many there are; at most 1.

    Example:
        >>> coins = [(i % 3, ()) for i in range(60)]
        >>> dependence_p(coins, coins) < 1e-9, dependence_p(coins, [(0, ())] * 60)
        (True, 1.0)
    """
    splits, others = _splits(first), _splits(second)
    values = [fisher_p(split, other) for split in splits for other in others]
    return min(1.0, max(1, len(values)) * min(values, default=1.0))


def _splits(outcomes: Sequence[tuple[Hashable, tuple[float, ...]]]) -> list[list[bool]]:
    counts = Counter(value for value, _ in outcomes)
    if len(counts) <= _MOST_CATEGORIES:
        return [[value == one for value, _ in outcomes] for one in counts] if len(counts) > 1 else []
    splits = []
    common, number = counts.most_common(1)[0]
    if number > 1:
        splits.append([value == common for value, _ in outcomes])
    for numbers in zip(*(numbers for _, numbers in outcomes), strict=True):
        splits.append(_above_median(numbers))
        middle = sorted(numbers)[len(numbers) // 2]
        splits.append(_above_median([abs(number - middle) for number in numbers]))
    return splits


def _above_median(numbers: Sequence[float]) -> list[bool]:
    middle = sorted(numbers)[len(numbers) // 2]
    return [number >= middle for number in numbers]


def _two_sided(logs: Sequence[float], place: int) -> float:
    """Twice the smaller tail of a distribution, from the logarithms of its probabilities."""
    below = math.fsum(math.exp(value) for value in logs[: place + 1])
    above = math.fsum(math.exp(value) for value in logs[place:])
    doubled = 2 * min(below, above)
    return 1.0 if doubled > 1 - _SLACK else doubled


def _binomial(successes: int, trials: int, probability: float) -> float:
    if probability in (0.0, 1.0):
        return float(successes == trials * probability)
    return math.exp(
        _log_choose(trials, successes)
        + successes * math.log(probability)
        + (trials - successes) * math.log1p(-probability)
    )


def _log_choose(total: int, chosen: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)
