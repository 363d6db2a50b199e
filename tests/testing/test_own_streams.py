"""A transform's own streams are found and seeded, wherever it keeps them."""

import random

import numpy as np
import pytest
import torch

from segaug._streams import forked_streams
from segaug.testing._own_streams import seed_all, snapshot_defaults, snapshot_own


class Holder:
    def __init__(self, stream):
        self.parts = [{"stream": stream}]
        # A cycle must not hang the walk.
        self.me = self

    @property
    def stream(self):
        return self.parts[0]["stream"]


STREAMS = {
    "torch": (torch.Generator, lambda stream: torch.rand(3, generator=stream).tolist()),
    "python": (random.Random, lambda stream: [stream.random() for _ in range(3)]),
    "numpy": (np.random.default_rng, lambda stream: stream.random(3).tolist()),
    "numpy, the old one": (np.random.RandomState, lambda stream: stream.random_sample(3).tolist()),
}


@pytest.mark.parametrize("name", STREAMS)
def test_own_streams_are_seeded_and_compared(name):
    make, draw = STREAMS[name]
    holder = Holder(make())
    with forked_streams(0, []):
        seed_all(holder, 5)
        before = snapshot_own(holder)
        first = draw(holder.stream)
        assert snapshot_own(holder) != before
        seed_all(holder, 5)
        assert snapshot_own(holder) == before
        assert draw(holder.stream) == first
        seed_all(holder, 6)
        assert draw(holder.stream) != first


@pytest.mark.parametrize("draw", [lambda: torch.rand(1), random.random, lambda: np.random.rand()])  # noqa: NPY002
def test_default_streams_are_compared(draw):
    with forked_streams(0, []):
        before = snapshot_defaults()
        assert snapshot_defaults() == before
        draw()
        assert snapshot_defaults() != before


def test_a_transforms_own_method_seeds_it():
    class Own:
        def set_random_seed(self, seed):
            self.seed = seed

    own = Own()
    with forked_streams(0, []):
        seed_all(own, 9)
    assert own.seed == 9
