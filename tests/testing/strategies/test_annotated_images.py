import random

import pytest
import torch
from hypothesis import Phase, find, given, settings
from torchvision import tv_tensors
from torchvision.ops import masks_to_boxes

from segaug.testing.strategies import annotated_images, layout_of

FEW = settings(derandomize=True, deadline=None, max_examples=40, database=None)
FIND = settings(database=None, deadline=None, max_examples=1000, phases=[Phase.generate, Phase.shrink])


def smallest(strategy, condition):
    return find(strategy, condition, settings=FIND, random=random.Random(0))


@FEW
@given(annotated_images(min_side=2, max_side=9))
def test_parts_agree(sample):
    image, masks, boxes, points = (sample[key] for key in ("image", "masks", "boxes", "keypoints"))
    assert [type(part) for part in (image, masks, boxes, points)] == [
        tv_tensors.Image, tv_tensors.Mask, tv_tensors.BoundingBoxes, tv_tensors.KeyPoints,
    ]  # fmt: skip
    height, width = image.shape[-2:]
    assert all(2 <= side <= 9 for side in (height, width))
    assert boxes.canvas_size == points.canvas_size == (height, width)
    count = len(masks)
    assert masks.shape == (count, height, width)
    assert masks.dtype == torch.bool
    assert masks.flatten(1).any(1).all()
    # torchvision's are inclusive.
    expected = masks_to_boxes(masks) + torch.tensor([0, 0, 1, 1])
    assert torch.equal(boxes.as_subclass(torch.Tensor), expected.float())
    assert points.shape == (count, 2)
    for mask, (x, y) in zip(masks, points.long().tolist(), strict=True):
        assert mask[y, x]
    assert sample["labels"].shape == (count,)
    assert sample["labels"].dtype == torch.int64
    assert (sample["labels"] >= 1).all()


def test_numbers_of_objects():
    counts = set()

    @FEW
    @given(annotated_images(max_objects=3))
    def draw(sample):
        counts.add(len(sample["labels"]))

    draw()
    assert counts == {0, 1, 2, 3}


def test_shrinks():
    sample = smallest(annotated_images(), lambda sample: True)
    assert sample["masks"].shape == (0, 1, 1)
    assert sample["boxes"].shape == (0, 4)
    sample = smallest(annotated_images(), lambda sample: len(sample["labels"]) == 1)
    assert sample["image"].tolist() == [[[0]]]
    assert layout_of(sample["image"]) == "contiguous"
    assert sample["masks"].tolist() == [[[True]]]
    assert sample["labels"].tolist() == [1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_objects": 5}, r"max_objects must be at least min_objects \(5\), got 4"),
        ({"size": (1, 0)}, r"size\[1\] must be at least 1, got 0"),
        ({"contents": ()}, "contents must hold at least one"),
    ],
)
def test_impossible_bounds(arguments, message):
    with pytest.raises(ValueError, match=message):
        annotated_images(**arguments)
