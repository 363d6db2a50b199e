import random
import time

import pytest
import torch
from hypothesis import Phase, find, given, settings

from segaug import SegmentedImage
from segaug.testing.strategies import layout_of, segmented_images

FEW = settings(derandomize=True, deadline=None, max_examples=40, database=None)
FIND = settings(database=None, deadline=None, max_examples=1000, phases=[Phase.generate, Phase.shrink])


def smallest(strategy, condition, seed=0):
    return find(strategy, condition, settings=FIND, random=random.Random(seed))


@FEW
@given(segmented_images(min_side=3, max_side=7, min_segments=2, max_segments=4))
def test_bounds(sample):
    SegmentedImage(sample.image, sample.segments)
    assert all(3 <= side <= 7 for side in sample.segments.shape)
    assert 2 <= sample.segments.num_segments <= 4
    assert sample.image.dtype in (torch.uint8, torch.float32)


@FEW
@given(
    segmented_images(dtypes=torch.float16, channels=3, size=(2, 5), layouts="expanded", contents="noise", kinds="grid")
)
def test_arguments_reach_their_part(sample):
    assert sample.image.dtype == torch.float16
    assert sample.image.shape == (3, 2, 5)
    assert layout_of(sample.image) == "expanded"
    assert layout_of(sample.segments) == "contiguous"


def test_maps_of_other_layouts_occur():
    layouts = set()

    @settings(FEW, max_examples=200)
    @given(segmented_images())
    def draw(sample):
        layouts.add(layout_of(sample.segments))

    draw()
    assert layouts == {"contiguous", "sliced", "transposed", "offset"}


@pytest.mark.parametrize("seed", range(3))
def test_shrinks_to_two_black_pixels(seed):
    sample = smallest(segmented_images(), lambda sample: sample.segments.num_segments >= 2, seed)
    assert sample.image.dtype == torch.uint8
    assert sample.image.tolist() == [[[0, 0]]]
    assert sample.segments.tolist() == [[1, 2]]
    assert layout_of(sample.image) == layout_of(sample.segments) == "contiguous"


def test_shrinks_to_the_pixels_that_matter():
    def is_uneven(sample):
        labels, image = sample.segments, sample.image
        return labels.num_segments == 2 and bool((image.amax((1, 2)) > image.amin((1, 2))).any())

    sample = smallest(segmented_images(), is_uneven)
    assert sample.image.shape == (1, 1, 2)
    assert sample.segments.tolist() == [[1, 2]]
    assert sample.image.sum() == 1


def test_draws_are_fast():
    @settings(database=None, deadline=None, max_examples=100, derandomize=True, phases=[Phase.generate])
    @given(segmented_images(max_side=64))
    def draw(sample):
        pass

    start = time.perf_counter()
    draw()
    # Measured: a tenth of a second; the rest is for a busy machine.
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": 2}, "channels must be one or more of 1 or 3, got 2"),
        ({"min_segments": 5, "size": (2, 2)}, "min_segments must be at most.*2 . 2 by size, got 5"),
        ({"size": (0, 2)}, r"size\[0\] must be at least 1, got 0"),
        ({"contents": "subnormal", "dtypes": torch.uint8}, "contents must hold one that fits dtypes"),
    ],
)
def test_impossible_bounds(arguments, message):
    with pytest.raises(ValueError, match=message):
        segmented_images(**arguments)
