import random

import pytest
import torch
from hypothesis import Phase, find, given, settings
from torchvision import tv_tensors

from segaug.testing.strategies import CONTENTS, LAYOUTS, images, layout_of
from segaug.testing.strategies._bounds import chosen

FEW = settings(derandomize=True, deadline=None, max_examples=40, database=None)
FIND = settings(database=None, deadline=None, max_examples=1000, phases=[Phase.generate, Phase.shrink])


def smallest(strategy, condition):
    return find(strategy, condition, settings=FIND, random=random.Random(0))


def collect(strategy, count):
    """Examples as a test draws them."""
    found = []

    @settings(FEW, max_examples=count)
    @given(strategy)
    def draw(example):
        found.append(example)

    draw()
    return found


@FEW
@given(images(min_side=2, max_side=9))
def test_bounds(image):
    assert type(image) is tv_tensors.Image
    assert image.shape[0] in (1, 3)
    assert all(2 <= side <= 9 for side in image.shape[1:])
    assert image.dtype in (torch.uint8, torch.float32)
    assert image.min() >= 0
    assert image.dtype == torch.uint8 or image.max() <= 1


@FEW
@given(images(dtypes=(torch.float16, torch.bfloat16, torch.float64), channels=5, size=(3, 7), batch=(1, 3)))
def test_bounds_of_batches(image):
    assert image.shape[0] in (1, 2, 3)
    assert image.shape[1:] == (5, 3, 7)
    assert image.is_floating_point()
    assert image.min() >= 0
    assert image.max() <= 1


def test_everything_occurs():
    drawn = collect(images(), 300)
    assert {layout_of(image) for image in drawn} == set(LAYOUTS)
    assert {(image.dtype, image.shape[0]) for image in drawn} == {
        (dtype, channels) for dtype in (torch.uint8, torch.float32) for channels in (1, 3)
    }
    floats = [image for image in drawn if image.is_floating_point()]
    assert any((image == 1).any() for image in floats)
    assert any((image == 0).any() for image in floats)
    tiny = torch.finfo(torch.float32).smallest_normal
    assert any(((image > 0) & (image < tiny)).any() for image in floats)
    assert any(1 in image.shape[1:] for image in drawn)
    assert any(image.shape[1:] == (1, 1) for image in drawn)


@pytest.mark.parametrize("content", CONTENTS)
def test_contents(content):
    drawn = collect(images(contents=content, size=(6, 6), layouts="contiguous", dtypes=torch.float32, channels=1), 40)
    numbers = {len(image.unique()) for image in drawn}
    most = {"flat": 1, "sparse": 2, "gradient": 11, "stripes": 2, "checker": 2, "noise": 36, "subnormal": 7}[content]
    assert max(numbers) == most


def test_values_next_to_the_extremes():
    drawn = torch.cat([image.flatten() for image in collect(images(contents="subnormal", dtypes=torch.float32), 60)])
    info = torch.finfo(torch.float32)
    assert {0.0, info.smallest_normal * info.eps, info.smallest_normal, 1 - info.eps / 2, 1.0} <= set(drawn.tolist())


def test_images_of_a_batch_differ():
    drawn = collect(images(batch=2, layouts="contiguous"), 20)
    assert any(not torch.equal(*image) for image in drawn)


def test_shrinks_to_small_black_and_contiguous():
    image = smallest(images(), lambda image: True)
    assert image.dtype == torch.uint8
    assert image.tolist() == [[[0]]]
    assert layout_of(image) == "contiguous"


def test_shrinks_to_one_bright_pixel():
    def is_bright(image):
        return image.max() > (200 if image.dtype == torch.uint8 else 0.8)

    assert smallest(images(), is_bright).tolist() == [[[201]]]


def test_shrinks_to_the_first_dtype_and_channels():
    image = smallest(images(dtypes=(torch.float64, torch.uint8), channels=(4, 1)), lambda image: True)
    assert image.dtype == torch.float64
    assert image.shape == (4, 1, 1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"min_side": 0}, ValueError, "min_side must be at least 1, got 0"),
        ({"max_side": 0}, ValueError, "max_side must be at least 1, got 0"),
        ({"min_side": 5, "max_side": 4}, ValueError, r"max_side must be at least min_side \(5\), got 4"),
        ({"max_side": 10**9}, ValueError, "max_side must be at most 4096"),
        ({"size": (0, 4)}, ValueError, r"size\[0\] must be at least 1, got 0"),
        ({"size": 4}, TypeError, r"size must be \(H, W\), got 4"),
        ({"min_side": 1.5}, TypeError, "min_side must be an int"),
        ({"dtypes": ()}, ValueError, "dtypes must hold at least one of torch.uint8"),
        ({"dtypes": torch.int32}, ValueError, "dtypes must be one or more of torch.uint8.*got torch.int32"),
        ({"channels": 0}, ValueError, "channels must be one or more of ints of at least 1, got 0"),
        ({"channels": []}, ValueError, "channels must hold at least one"),
        ({"batch": 0}, ValueError, "batch must be at least 1, got 0"),
        ({"batch": (3, 2)}, ValueError, "batch must be .min, max. with min at most max"),
        ({"batch": (1, 2, 3)}, ValueError, "batch must be an int or .min, max."),
        ({"layouts": "fortran"}, ValueError, "layouts must be one or more of 'contiguous'.*got 'fortran'"),
        ({"layouts": []}, ValueError, "layouts must hold at least one"),
        ({"contents": ("flat", "cats")}, ValueError, "contents must be one or more of 'flat'.*got 'cats'"),
        ({"contents": "subnormal"}, ValueError, "contents must hold one that fits dtypes.*torch.uint8"),
    ],
)
def test_impossible_bounds(arguments, error, message):
    with pytest.raises(error, match=message):
        images(**arguments)


def test_choices_that_are_equal_and_of_other_types_are_others():
    # (True,) equals (1,), and choices are made once for each tuple: one channel came as True.
    for choice in (True, 1, 1.0):
        drawn = smallest(chosen((choice,)), lambda value: True)
        assert (drawn, type(drawn)) == (choice, type(choice))
