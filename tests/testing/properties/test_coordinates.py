import pytest
import torch
from torchvision.transforms import v2

from segaug.structures import SegmentedImage
from segaug.testing._augmentation import Augmentation
from segaug.testing._errors import NotApplicable
from segaug.testing.properties._affine import fit_affine
from segaug.testing.properties._coordinates import trace


def pair(height, width, dtype=torch.float32, channels=3):
    return SegmentedImage(
        torch.zeros(channels, height, width, dtype=dtype), torch.ones(height, width, dtype=torch.int64)
    )


def follow(transform, sample, seed=0):
    return trace(Augmentation(transform), sample, seed)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_flip_is_read_exactly(dtype, channels):
    movement = follow(v2.RandomHorizontalFlip(1), pair(2, 3, dtype, channels))
    torch.testing.assert_close(movement.x[0].round().long(), torch.tensor([[2, 1, 0], [2, 1, 0]]))
    torch.testing.assert_close(movement.y[0].round().long(), torch.tensor([[0, 0, 0], [1, 1, 1]]))
    assert movement.valid.all()
    assert movement.exact.tolist() == [True]


@pytest.mark.parametrize("fill", [0, 1, 0.5, (0.485, 0.456, 0.406)])
def test_fill_is_not_followed(fill):
    movement = follow(v2.Pad(1, fill=fill), pair(3, 4))
    assert movement.valid[0].nonzero().tolist() == [[i, j] for i in (1, 2, 3) for j in (1, 2, 3, 4)]
    assert movement.exact.tolist() == [True]


@pytest.mark.parametrize(
    ("transform", "size"),
    [
        (v2.Resize((1, 1)), (3, 3)),
        (v2.Resize((3, 3), interpolation=v2.InterpolationMode.NEAREST_EXACT), (4, 4)),
        (v2.Pad(1, padding_mode="edge"), (3, 3)),
        (v2.Pad(1, padding_mode="reflect"), (3, 3)),
        (v2.RandomRotation((30, 30)), (8, 8)),
    ],
)
def test_what_is_not_moved_pixel_by_pixel_is_not_exact(transform, size):
    assert follow(transform, pair(*size)).exact.tolist() == [False]


@pytest.mark.parametrize(
    "transform",
    [
        v2.RandomInvert(1),
        v2.ColorJitter(brightness=(0.5, 0.5)),
        v2.ColorJitter(contrast=(0.5, 0.5)),
        v2.RandomAutocontrast(1),
    ],
)
def test_new_colours_are_not_followed(transform):
    with pytest.raises(NotApplicable, match="tell where it comes from"):
        follow(transform, pair(8, 9))


def test_a_mix_of_pixels_that_are_far_apart_is_not_followed():
    def double(sample):
        return SegmentedImage((sample.image + sample.image.roll(4, -1)) / 2, sample.segments)

    with pytest.raises(NotApplicable, match="tell where it comes from"):
        follow(double, pair(2, 8))


def test_calls_must_agree():
    turns = iter(range(9))

    def unseeded(sample):
        return SegmentedImage(sample.image, sample.segments.roll(next(turns), -1))

    sample = SegmentedImage(torch.zeros(1, 1, 5), torch.arange(5)[None])
    with pytest.raises(NotApplicable, match="do not move alike"):
        follow(unseeded, sample)


def test_uint8_has_too_few_levels_for_a_large_picture():
    with pytest.raises(NotApplicable, match="too few levels for the coordinates of 1x300 pixels"):
        follow(v2.RandomHorizontalFlip(1), pair(1, 300, torch.uint8))


def test_the_linear_map_of_a_resize():
    affine = fit_affine(follow(v2.Resize((8, 12)), pair(4, 4)))
    torch.testing.assert_close(affine.matrix, torch.tensor([[3.0, 0.0], [0.0, 2.0]]).double(), atol=1e-3, rtol=0)
    torch.testing.assert_close(
        affine.box(torch.tensor([1, 1, 2, 2])), torch.tensor([3.0, 2, 6, 4]).double(), atol=0.01, rtol=0
    )
    assert affine.is_axis_aligned
    assert affine.is_smooth


def test_a_rotation_is_no_axis_aligned_map():
    affine = fit_affine(follow(v2.RandomRotation((30, 30), interpolation=v2.InterpolationMode.BILINEAR), pair(9, 9)))
    assert not affine.is_axis_aligned
    assert affine.scales == pytest.approx((1, 1), abs=0.01)


def test_one_pixel_tells_no_map():
    assert fit_affine(follow(v2.RandomHorizontalFlip(1), pair(1, 1))) is None
