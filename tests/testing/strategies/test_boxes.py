import random

import pytest
import torch
from hypothesis import Phase, find, given, settings
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from segaug.testing.strategies import boxes

FEW = settings(derandomize=True, deadline=None, max_examples=40, database=None)
FIND = settings(database=None, deadline=None, max_examples=1000, phases=[Phase.generate, Phase.shrink])
FORMATS = ("XYXY", "XYWH", "CXCYWH")


def smallest(strategy, condition):
    return find(strategy, condition, settings=FIND, random=random.Random(0))


@FEW
@given(boxes(formats=FORMATS, min_side=2, max_side=9, min_boxes=1))
def test_bounds(drawn):
    assert type(drawn) is tv_tensors.BoundingBoxes
    assert drawn.dtype == torch.float32
    assert 1 <= len(drawn) <= 4
    assert all(2 <= side <= 9 for side in drawn.canvas_size)
    x0, y0, x1, y1 = F.convert_bounding_box_format(drawn, new_format="XYXY").as_subclass(torch.Tensor).T
    height, width = drawn.canvas_size
    assert (x0 >= 0).all()
    assert (y0 >= 0).all()
    assert (x1 <= width).all()
    assert (y1 <= height).all()
    assert (x0 < x1).all()
    assert (y0 < y1).all()


def test_everything_occurs():
    seen = set()

    @settings(FEW, max_examples=200)
    @given(boxes(formats=FORMATS))
    def draw(drawn):
        seen.add(drawn.format.value)
        seen.add("none" if not len(drawn) else "fraction" if (drawn % 1).any() else "whole")

    draw()
    assert seen == {*FORMATS, "none", "fraction", "whole"}


def test_shrinks():
    assert smallest(boxes(), lambda drawn: True).shape == (0, 4)
    assert smallest(boxes(min_boxes=1, canvas_size=(5, 5)), lambda drawn: True).tolist() == [[0, 0, 1, 1]]
    drawn = smallest(boxes(formats=("XYWH", "XYXY")), lambda drawn: len(drawn) > 0 and drawn[0, 2] >= 3)
    assert drawn.format.value == "XYWH"
    assert drawn.tolist() == [[0, 0, 3, 1]]
    assert drawn.canvas_size == (1, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"formats": "XYZ"}, "formats must be one or more of 'XYXY'.*got 'XYZ'"),
        ({"formats": ()}, "formats must hold at least one"),
        ({"canvas_size": (0, 3)}, r"canvas_size\[0\] must be at least 1, got 0"),
        ({"min_boxes": 5}, r"max_boxes must be at least min_boxes \(5\), got 4"),
    ],
)
def test_impossible_bounds(arguments, message):
    with pytest.raises(ValueError, match=message):
        boxes(**arguments)
