import itertools
import math

import pytest
import torch

from segaug.testing._statistics import ERROR_LEVEL, binomial_p, dependence_p, fisher_p


def test_fisher_is_the_hypergeometric_tail():
    first = [True] * 4 + [False] * 4
    second = [True] * 3 + [False] * 4 + [True]
    assert fisher_p(first, second) == pytest.approx(2 * 17 / 70)


def test_fisher_is_exact_over_all_orders():
    first = [True] * 3 + [False] * 5
    values = [fisher_p(first, [i in places for i in range(8)]) for places in itertools.combinations(range(8), 4)]
    for level in (0.01, 0.05, 0.2, 0.5):
        assert sum(value <= level for value in values) / len(values) <= level


def test_binomial_is_the_sum_of_its_tail():
    assert binomial_p(2, 10, 0.5) == pytest.approx(2 * 56 / 1024)
    assert binomial_p(0, 10, 0.0) == 1.0
    assert binomial_p(1, 10, 0.0) == 0.0
    # Anything in a range of probabilities is as expected.
    assert binomial_p(45, 100, 0.4, 0.5) > 0.1


def test_constant_outcomes_depend_on_nothing():
    coins = [(i % 2, ()) for i in range(50)]
    assert dependence_p(coins, [(0, ())] * 50) == 1.0
    assert dependence_p([(0, ())] * 50, [(0, ())] * 50) == 1.0


@pytest.mark.parametrize("function", [lambda x: x, lambda x: 1 - x, lambda x: abs(x - 0.5)])
def test_dependence_of_numbers(function):
    numbers = torch.rand(200, generator=torch.Generator().manual_seed(0)).tolist()
    other = torch.rand(200, generator=torch.Generator().manual_seed(1)).tolist()
    outcomes = [(x, (x,)) for x in numbers]
    assert dependence_p(outcomes, [(function(x), (function(x),)) for x in numbers]) < ERROR_LEVEL
    assert dependence_p(outcomes, [(function(x), (function(x),)) for x in other]) > 1e-4


def test_independent_outcomes_pass_many_times():
    stream = torch.Generator().manual_seed(0)
    smallest = 1.0
    for _ in range(200):
        a, b = torch.randint(0, 3, (2, 60), generator=stream).tolist()
        smallest = min(smallest, dependence_p([(v, ()) for v in a], [(v, ()) for v in b]))
    # Of 200 valid p values the smallest is below this once in 500 times.
    assert smallest > 1e-5
    assert math.isclose(ERROR_LEVEL, 1e-9)
