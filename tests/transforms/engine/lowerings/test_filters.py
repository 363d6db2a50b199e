"""Blur and sharpness."""

import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from segaug import PerSegment, SegmentedImage, SegmentMap

DTYPES = pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=["uint8", "float32"])


def replay_blur(transform, patch, row):
    return transform.transform(patch, {"sigma": row["sigma"].tolist()})


@pytest.mark.parametrize("channels", [1, 3])
@DTYPES
@pytest.mark.parametrize("kernel_size", [1, 3, (5, 9), 17])
def test_blur_equals_the_loop(check_equals_loop, dtype, channels, kernel_size):
    check_equals_loop(v2.GaussianBlur(kernel_size, (0.1, 5.0)), dtype=dtype, channels=channels, replay=replay_blur)


@pytest.mark.parametrize("channels", [1, 3])
@DTYPES
@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 2.0, 9.5])
def test_sharpness_equals_the_loop(check_equals_loop, dtype, channels, factor):
    check_equals_loop(v2.RandomAdjustSharpness(factor, p=0.5), dtype=dtype, channels=channels)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_sharpness_of_tiny_patches(check_equals_loop, size):
    check_equals_loop(v2.RandomAdjustSharpness(2.0, p=0.5), size=size)


def test_draws(draw_ours, draw_theirs, check_same_distribution):
    transform = v2.GaussianBlur(3, (0.3, 2.0))
    ours, theirs = draw_ours(transform)["sigma"], torch.tensor([row["sigma"] for row in draw_theirs(transform)])
    assert torch.equal(ours[:, 0], ours[:, 1])
    check_same_distribution(ours[:, 0], theirs[:, 0])
    torch.manual_seed(1)
    check_same_distribution(draw_ours(v2.RandomAdjustSharpness(2.0, p=0.3))["gate"], torch.rand(5000) < 0.3)


@pytest.mark.parametrize("vectorized", [True, False])
def test_a_window_larger_than_the_patch_is_an_error(make_tokens, vectorized):
    with pytest.raises((ValueError, RuntimeError), match=r"(?i)kernel_size must be at most|padding size"):
        PerSegment(v2.GaussianBlur(13), vectorized=vectorized)(make_tokens(2))


@DTYPES
@pytest.mark.parametrize(
    "transform", [v2.GaussianBlur(9, (3.0, 3.0)), v2.RandomAdjustSharpness(0.0, p=1.0)], ids=["blur", "sharpness"]
)
def test_in_the_picture_no_segment_leaks_into_another(load_photo, make_map, transform, dtype):
    labels = make_map(40, 50, 12)
    # One colour per segment: any leak would show.
    colors = torch.randint(0, 256, (13, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    flat = colors[labels].permute(2, 0, 1).contiguous()
    flat = flat if dtype == torch.uint8 else flat / 255
    sample = SegmentedImage(tv_tensors.Image(flat), SegmentMap(labels))
    out = PerSegment(transform)(sample)
    torch.testing.assert_close(
        out.image.as_subclass(torch.Tensor), flat, rtol=0, atol=0 if dtype == torch.uint8 else 1e-6
    )
    assert torch.equal(out.segments.as_subclass(torch.Tensor), labels)
    photo = load_photo("coffee", 40, 50)
    changed = PerSegment(transform)(SegmentedImage(tv_tensors.Image(photo), SegmentMap(labels))).image
    assert not torch.equal(changed.as_subclass(torch.Tensor), photo)


def test_in_the_picture_the_rim_of_a_box_is_nothing_special(photo):
    # The same pixels, alone in the picture and with a far pixel that makes the box larger.
    labels = torch.zeros(photo.shape[-2:], dtype=torch.int64)
    labels[10:20, 10:25] = 1
    larger = labels.clone()
    larger[40, 60] = 1
    for transform in (v2.GaussianBlur(5, (2.0, 2.0)), v2.RandomAdjustSharpness(3.0, p=1.0)):
        one, other = (
            PerSegment(transform, background=False)(SegmentedImage(tv_tensors.Image(photo), SegmentMap(segments))).image
            for segments in (labels, larger)
        )
        assert torch.equal(one[:, 10:20, 10:25], other[:, 10:20, 10:25])
        assert not torch.equal(one[:, 10, 11:24], photo[:, 10, 11:24])
