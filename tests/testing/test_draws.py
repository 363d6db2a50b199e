"""Draws from torch can be pinned and recorded."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import v2

from segaug.testing import NotApplicable, PinnedDraws, RecordedDraws
from segaug.testing._draws import _PINS, LARGEST_UNIFORM
from segaug.transforms import _random

QUANTILES = st.sampled_from([0.0, 0.25, 0.5, 0.75, LARGEST_UNIFORM])


class TestPinnedDraws:
    @given(QUANTILES)
    @settings(derandomize=True, deadline=None, max_examples=10)
    def test_every_function_gives_the_quantile(self, u):
        z = torch.special.ndtri(torch.tensor(min(max(u, 3e-7), 1 - 3e-7), dtype=torch.float64)).item()
        generator = torch.Generator()
        with PinnedDraws(u):
            drawn = {
                "rand": (torch.rand(2, 3, generator=generator), u),
                "rand_like": (torch.rand_like(torch.zeros(3)), u),
                "uniform_": (torch.empty(3).uniform_(-1, 3, generator=generator), -1 + 4 * u),
                "randn": (torch.randn(3), z),
                "normal_": (torch.empty(3).normal_(2.0, 3.0), 2 + 3 * z),
                "normal": (torch.normal(torch.full((3,), 1.0), 2.0), 1 + 2 * z),
                "randint": (torch.randint(2, 6, (3,)), 2 + int(4 * u)),
                "randint of one number": (torch.randint(6, (3,)), int(6 * u)),
                "randint by name": (torch.randint(low=2, high=6, size=(3,)), 2 + int(4 * u)),
                "random_": (torch.empty(3).random_(2, 6), 2 + int(4 * u)),
                "bernoulli": (torch.bernoulli(torch.full((3,), 0.6)), float(u < 0.6)),
                "bernoulli_": (torch.empty(3).bernoulli_(0.6), float(u < 0.6)),
                "multinomial": (torch.multinomial(torch.ones(4), 3, replacement=True), int(4 * u)),
                "exponential_": (torch.empty(3).exponential_(2.0), -torch.log1p(torch.tensor(-u)).item() / 2),
            }
        for name, (tensor, expected) in drawn.items():
            wanted = torch.full_like(tensor.double(), expected)
            torch.testing.assert_close(tensor.double(), wanted, rtol=1e-5, atol=1e-6, msg=f"{name}: {tensor}")

    def test_permutations_are_the_identity_or_the_reversal(self):
        with PinnedDraws(0.2):
            assert torch.randperm(4).tolist() == [0, 1, 2, 3]
        with PinnedDraws(0.7):
            assert torch.randperm(4).tolist() == [3, 2, 1, 0]

    def test_multinomial_without_replacement_takes_what_can_be_drawn(self):
        with PinnedDraws(0.9):
            assert torch.multinomial(torch.tensor([0.0, 1.0, 2.0]), 2).tolist() == [1, 2]

    def test_all_that_segaug_draws_is_pinned(self):
        def draw():
            return [
                _random.uniform(-1, 1, (5,), None),
                _random.normal(0.5, (5,), None),
                _random.bernoulli(0.5, (5,), None),
                _random.beta(0.4, (5,), None),
                _random.integers(9, (5,), None),
                _random.choices((0.2, 0.8), 5, None),
                _random.dirichlet(1.0, (5, 3), None),
                _random.permutations(5, 2, None),
            ]

        results = []
        for seed in (0, 1):
            torch.manual_seed(seed)
            with PinnedDraws(0.3):
                results.append(draw())
        assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))

    def test_rejection_sampling_is_told(self):
        def draw_until_accepted():
            while float(torch.rand(())) > 0.5:
                pass

        with PinnedDraws(0.9), pytest.raises(NotApplicable, match="until a draw is accepted"):
            draw_until_accepted()

    def test_seeds_for_other_streams_are_told(self):
        with PinnedDraws(0.5), pytest.raises(NotApplicable, match="seeds streams of its own"):
            torch.randint(2**63 - 1, (3,))

    def test_nothing_else_changes(self):
        with PinnedDraws(0.9):
            assert torch.ones(2).sum() == 2


class TestRecordedDraws:
    def test_transforms_draw_what_they_draw(self):
        image = torch.zeros(3, 4, 4, dtype=torch.uint8)
        with RecordedDraws() as draws:
            v2.RandomHorizontalFlip()(image)
        assert draws.calls == [("rand", 1)]

    def test_every_function_that_can_be_pinned_is_one_of_torch(self):
        assert all(hasattr(torch, name) or hasattr(torch.Tensor, name) for name in _PINS)
