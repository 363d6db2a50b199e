"""Arguments of transforms, drawn: chances, shares, spans, odd sizes. Numbers have at most two decimals, to be readable."""

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

__all__ = ["chances", "hundredths", "int_spans", "odd_sizes", "side_pairs", "spans"]


def chances() -> SearchStrategy[float]:
    """Probabilities in [0, 1], often 1, 1/2 and 0; shrinks to 1, with which a transform always acts."""
    # One choice and no more, as an example shrinks first to few choices.
    return st.sampled_from([1.0, 0.5, 0.0] * 33 + [number / 100 for number in range(1, 100)])


def hundredths(low: float, high: float) -> SearchStrategy[float]:
    """Multiples of 0.01 in [low, high]; shrinks to the bound or number that is nearest to 0."""
    return st.integers(round(low * 100), round(high * 100)).map(lambda number: number / 100)


def spans(low: float, high: float) -> SearchStrategy[tuple[float, float]]:
    """Pairs of numbers, the smaller first, that may be equal; shrinks as ``hundredths`` does."""
    return st.tuples(hundredths(low, high), hundredths(low, high)).map(lambda pair: (min(pair), max(pair)))


def int_spans(low: int, high: int) -> SearchStrategy[tuple[int, int]]:
    """Pairs of integers, the smaller first, that may be equal; shrinks to what is nearest to 0."""
    return st.tuples(st.integers(low, high), st.integers(low, high)).map(lambda pair: (min(pair), max(pair)))


def odd_sizes(low: int, high: int) -> SearchStrategy[int]:
    """Odd integers in [low, high], as kernels want them; shrinks to the smallest."""
    return st.sampled_from(range(low | 1, high + 1, 2))


def side_pairs(low: int = 1, high: int = 8) -> SearchStrategy[tuple[int, int]]:
    """Heights and widths in [low, high]; shrinks to the smallest."""
    return st.tuples(st.integers(low, high), st.integers(low, high))
