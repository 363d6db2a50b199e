"""Crops, padding and new sizes."""

import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2

from segaug import PerSegment
from segaug.transforms._engine._lowering import find_lowering

MODES = ["constant", "edge", "reflect", "symmetric"]
EXACT = [
    v2.RandomCrop(5),
    v2.RandomCrop((9, 4)),
    v2.RandomCrop(9),
    v2.RandomCrop(14, pad_if_needed=True),
    v2.RandomCrop((4, 12), padding=[0, 1, 2, 0], pad_if_needed=True, fill=200),
    v2.RandomCrop(9, padding=2, fill={tv_tensors.Image: 3, "others": (1, 2, 3)}),
    *(v2.RandomCrop(8, padding=(3, 1), padding_mode=mode) for mode in MODES),
    v2.CenterCrop(4),
    v2.CenterCrop((13, 6)),
    v2.CenterCrop(12),
    v2.Pad(2, fill=(1, 2, 3)),
    v2.Pad([1]),
    *(v2.Pad([1, 2], fill=9, padding_mode=mode) for mode in MODES),
    v2.Pad([1, 2, 3, 0], padding_mode="edge"),
    v2.Resize(9),
    v2.Resize(5, interpolation=InterpolationMode.NEAREST),
    v2.Resize((5, 20), interpolation="nearest-exact"),
]
MIXING = [
    v2.RandomResizedCrop(7),
    v2.RandomResizedCrop((5, 12), scale=(0.3, 0.6), ratio=(0.5, 2.0)),
    v2.Resize(5),
    v2.Resize([14]),
    v2.Resize((20, 4)),
    v2.Resize(None, max_size=5),
    v2.Resize(4, max_size=6),
    v2.Resize((5, 6), antialias=False),
    v2.Resize(12, interpolation=InterpolationMode.BILINEAR, antialias=None),
]
# With weights below 0, which take floats out of their range.
RINGING = [v2.Resize(13, interpolation="bicubic"), v2.Resize((4, 7), interpolation=InterpolationMode.BICUBIC)]


@pytest.mark.parametrize("transform", EXACT, ids=repr)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=["uint8", "float32"])
@pytest.mark.parametrize("channels", [1, 3])
def test_equals_the_loop_exactly(check_equals_loop, transform, dtype, channels):
    check_equals_loop(transform, dtype=dtype, channels=channels, atol=0)


@pytest.mark.parametrize("transform", MIXING, ids=repr)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=["uint8", "float32"])
@pytest.mark.parametrize("channels", [1, 3])
def test_equals_the_loop(check_equals_loop, transform, dtype, channels):
    check_equals_loop(transform, dtype=dtype, channels=channels)


@pytest.mark.parametrize("transform", RINGING, ids=repr)
@pytest.mark.parametrize("channels", [1, 3])
def test_equals_the_loop_with_levels(check_equals_loop, transform, channels):
    check_equals_loop(transform, dtype=torch.uint8, channels=channels)


@pytest.mark.parametrize("transform", [*MIXING, *RINGING], ids=repr)
def test_floats_stay_in_their_range(make_tokens, transform):
    for full in (False, True):
        out = PerSegment(transform)(make_tokens(50, size=9, dtype=torch.float32, full=full))
        assert 0.0 <= float(out.patches.min()) <= float(out.patches.max()) <= 1.0
        assert 0.0 <= float(out.alpha.min()) <= float(out.alpha.max()) <= 1.0
        assert bool((out.patches <= out.alpha.unsqueeze(-3)).all())


@pytest.mark.parametrize("transform", [*EXACT, *MIXING, *RINGING], ids=repr)
def test_output_shape(make_tokens, transform):
    tokens = make_tokens(2, size=9)
    out = PerSegment(transform)(tokens)
    assert find_lowering(transform).output_shape(transform, 3, 9, 9) == tuple(out.patches.shape[-3:])


@pytest.mark.parametrize("shape", [(9, 9), (7, 20), (20, 7), (1, 5)])
@pytest.mark.parametrize(
    "transform", [v2.Resize(5), v2.Resize(None, max_size=6), v2.Resize(3, max_size=6), v2.Pad([1, 2])]
)
def test_output_shape_of_oblong_patches(transform, shape):
    expected = tuple(transform(tv_tensors.Image(torch.zeros(3, *shape))).shape)
    assert find_lowering(transform).output_shape(transform, 3, *shape) == expected


@pytest.mark.parametrize("transform", [v2.CenterCrop(4), v2.Pad(2), v2.Resize(5)], ids=repr)
def test_one_outcome(transform):
    assert find_lowering(transform).outcomes(transform, 3) == [{}]


@pytest.mark.parametrize("transform", [v2.RandomCrop(4), v2.RandomResizedCrop(4)], ids=repr)
def test_uncounted_outcomes(transform):
    assert find_lowering(transform).outcomes(transform, 3) is None


@pytest.mark.parametrize(
    "transform",
    [
        v2.RandomCrop(5),
        v2.RandomCrop((16, 7), padding=[0, 1, 2, 3]),
        v2.RandomCrop((20, 8), padding=1, pad_if_needed=True),
    ],
    ids=repr,
)
def test_draws_of_random_crop(draw_ours, draw_theirs, check_same_distribution, transform):
    ours, theirs = draw_ours(transform), draw_theirs(transform)
    for name in ("top", "left"):
        check_same_distribution(ours[name], [one[name] for one in theirs])
    for name in ("height", "width", "needs_crop", "needs_pad", "padding"):
        assert all(one[name] == ours[name] for one in theirs)


@pytest.mark.parametrize(
    "transform", [v2.RandomResizedCrop(7), v2.RandomResizedCrop(7, (0.9, 1.5), (0.2, 0.5))], ids=repr
)
def test_draws_of_random_resized_crop(draw_ours, draw_theirs, check_same_distribution, transform):
    ours, theirs = draw_ours(transform), draw_theirs(transform)
    for name in ("top", "left", "height", "width"):
        check_same_distribution(ours[name], [one[name] for one in theirs])


@pytest.mark.parametrize(
    ("transform", "sizes"),
    [
        (v2.RandomCrop(7), r"patch, \(6, 6\), got \(7, 7\)"),
        (v2.RandomCrop((4, 9), padding=1), r"padded patch, \(8, 8\), got \(4, 9\)"),
    ],
)
def test_crop_beyond_the_patch(make_tokens, transform, sizes):
    with pytest.raises(ValueError, match=rf"size of RandomCrop must be at most that of the {sizes}"):
        PerSegment(transform)(make_tokens(3, size=6))
