import random

import pytest
import torch
from hypothesis import Phase, find, given, settings
from torchvision import tv_tensors

from segaug.testing.strategies import keypoints

FEW = settings(derandomize=True, deadline=None, max_examples=40, database=None)
FIND = settings(database=None, deadline=None, max_examples=1000, phases=[Phase.generate, Phase.shrink])


@FEW
@given(keypoints(min_side=2, max_side=9, min_keypoints=1))
def test_bounds(points):
    assert type(points) is tv_tensors.KeyPoints
    assert points.dtype == torch.float32
    assert 1 <= len(points) <= 4
    height, width = points.canvas_size
    assert 2 <= height <= 9
    assert 2 <= width <= 9
    plain = points.as_subclass(torch.Tensor)
    assert (plain >= 0).all()
    assert (plain < torch.tensor([width, height])).all()
    assert (plain % 1 == 0).all()


def test_shrinks():
    def smallest(condition, **arguments):
        return find(keypoints(**arguments), condition, settings=FIND, random=random.Random(0))

    assert smallest(lambda points: True).shape == (0, 2)
    assert smallest(lambda points: True, min_keypoints=1, canvas_size=(4, 4)).tolist() == [[0, 0]]
    points = smallest(lambda points: len(points) > 0 and points[0, 1] >= 2)
    assert points.tolist() == [[0, 2]]
    assert points.canvas_size == (3, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"canvas_size": (3, 0)}, r"canvas_size\[1\] must be at least 1, got 0"),
        ({"min_keypoints": 5}, r"max_keypoints must be at least min_keypoints \(5\), got 4"),
    ],
)
def test_impossible_bounds(arguments, message):
    with pytest.raises(ValueError, match=message):
        keypoints(**arguments)
