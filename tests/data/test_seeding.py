import contextlib

import pytest
import torch

from segaug.data import derive_seed, seeded_stream


def test_seeds_of_different_numbers_differ():
    numbers = [(seed, epoch, index) for seed in range(5) for epoch in range(5) for index in range(20)]
    assert len({derive_seed(*parts) for parts in numbers}) == len(numbers)
    assert derive_seed(1, 23) != derive_seed(12, 3)
    assert derive_seed(1, 2) != derive_seed(1, 2, 0)


def test_seeds_stay_the_same_for_ever():
    assert derive_seed(0, 1, 2) == 8703209590962626244


def test_a_block_draws_the_same_and_leaves_the_callers_state():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with seeded_stream(1, 2):
        first = torch.rand(4)
    assert torch.equal(torch.rand(3), expected)
    with seeded_stream(1, 2):
        assert torch.equal(torch.rand(4), first)
    with seeded_stream(1, 3):
        assert not torch.equal(torch.rand(4), first)


def test_the_state_comes_back_after_an_error():
    state = torch.get_rng_state()
    with contextlib.suppress(KeyError), seeded_stream(1):
        torch.rand(1)
        raise KeyError
    assert torch.equal(torch.get_rng_state(), state)


def test_bad_arguments():
    with pytest.raises(ValueError, match="parts must be at least 0, got -1"):
        derive_seed(0, -1)
    with pytest.raises(TypeError, match=r"parts must be an int, got 0\.5"), seeded_stream(0.5):
        pass
