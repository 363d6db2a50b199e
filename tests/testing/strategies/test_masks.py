import random
from itertools import pairwise

import pytest
import torch
from hypothesis import Phase, find, given, settings
from torchvision import tv_tensors

from segaug.testing.strategies import masks

FEW = settings(derandomize=True, deadline=None, max_examples=40, database=None)
FIND = settings(database=None, deadline=None, max_examples=1000, phases=[Phase.generate, Phase.shrink])


def smallest(strategy, condition):
    return find(strategy, condition, settings=FIND, random=random.Random(0))


@FEW
@given(masks(min_side=2, max_side=5, min_masks=1, max_masks=3))
def test_bounds(stack):
    assert type(stack) is tv_tensors.Mask
    assert stack.dtype == torch.bool
    assert 1 <= len(stack) <= 3
    assert all(2 <= side <= 5 for side in stack.shape[1:])


def test_everything_occurs():
    seen = set()

    @settings(FEW, max_examples=200)
    @given(masks(min_side=2, max_side=8))
    def draw(stack):
        areas = stack.sum((-2, -1)).tolist()
        pixels = stack.shape[-1] * stack.shape[-2]
        seen.update({0: "empty", 1: "pixel", pixels: "full"}.get(area, "some") for area in areas)
        if not areas:
            seen.add("none")
        for a, b in pairwise(stack):
            if a.any() and b.any():
                if torch.equal(a, b):
                    seen.add("equal")
                elif not (b & ~a).any():
                    seen.add("nested")
                elif (a & b).any():
                    seen.add("overlapping")
                else:
                    seen.add("apart")

    draw()
    assert seen == {"none", "empty", "pixel", "full", "some", "equal", "nested", "overlapping", "apart"}


def test_shrinks_to_few_small_empty_masks():
    assert smallest(masks(), lambda stack: True).shape == (0, 1, 1)
    assert smallest(masks(min_masks=2), lambda stack: True).tolist() == [[[False]], [[False]]]
    assert smallest(masks(), lambda stack: (stack.sum(0) > 1).any()).tolist() == [[[True]], [[True]]]


def test_shrinks_to_the_top_left():
    assert smallest(masks(size=(2, 2), min_masks=1), lambda stack: stack.any()).tolist() == [
        [[True, False], [False, False]]
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_masks": 2, "max_masks": 1}, r"max_masks must be at least min_masks \(2\), got 1"),
        ({"min_masks": -1}, "min_masks must be at least 0, got -1"),
        ({"size": (0, 1)}, r"size\[0\] must be at least 1, got 0"),
    ],
)
def test_impossible_bounds(arguments, message):
    with pytest.raises(ValueError, match=message):
        masks(**arguments)
