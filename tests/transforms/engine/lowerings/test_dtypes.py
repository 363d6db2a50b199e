"""ToDtype, ConvertImageDtype and Normalize."""

import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from segaug import PerSegment


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("dtype", "target"),
    [
        (torch.uint8, torch.float32),
        (torch.uint8, torch.float16),
        (torch.uint8, torch.uint8),
        (torch.float32, torch.uint8),
        (torch.float32, torch.float64),
    ],
)
@pytest.mark.parametrize("kind", [lambda dtype: v2.ToDtype(dtype, scale=True), v2.ConvertImageDtype])
def test_dtype_equals_the_loop(check_equals_loop, dtype, target, channels, kind):
    check_equals_loop(kind(target), dtype=dtype, channels=channels, atol=0)


@pytest.mark.parametrize("vectorized", [True, False])
@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ({tv_tensors.Image: torch.float32, "others": None}, torch.float32),
        ({"others": torch.float32}, torch.float32),
        ({tv_tensors.Image: None, "others": torch.float32}, torch.uint8),
    ],
)
def test_a_dtype_per_kind_takes_that_of_images(make_tokens, dtype, expected, vectorized):
    out = PerSegment(v2.ToDtype(dtype, scale=expected != torch.uint8), vectorized=vectorized)(make_tokens(2))
    assert out.patches.dtype == out.alpha.dtype == expected


@pytest.mark.parametrize("vectorized", [True, False])
@pytest.mark.parametrize(
    ("transform", "error", "match"),
    [
        (v2.ToDtype({tv_tensors.Mask: torch.float32}, scale=True), ValueError, "(?i)dtype"),
        (v2.ToDtype(torch.float32), ValueError, "scale must be True"),
        (v2.ToDtype(torch.int32, scale=True), TypeError, "dtype must be torch.uint8 or a float type"),
        (v2.Normalize([0.5], [0.5]), TypeError, "float"),
    ],
)
def test_bad_dtypes(make_tokens, transform, error, match, vectorized):
    with pytest.raises(error, match=match):
        PerSegment(transform, vectorized=vectorized)(make_tokens(2))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_normalize_equals_the_loop(check_equals_loop, channels, dtype):
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    check_equals_loop(v2.Normalize(mean[:channels], std[:channels]), channels=channels, dtype=dtype)
    check_equals_loop(v2.Normalize([0.5], [0.25]), channels=channels, dtype=dtype)


@pytest.mark.parametrize("vectorized", [True, False])
def test_normalize_keeps_the_outside_at_0(make_tokens, vectorized):
    tokens = make_tokens(5, dtype=torch.float32)
    out = PerSegment(v2.Normalize([0.5] * 3, [0.5] * 3), vectorized=vectorized)(tokens)
    outside = (tokens.alpha == 0).unsqueeze(-3).expand_as(out.patches)
    assert not out.patches[outside].any()
    assert (out.patches < 0).any()
    assert torch.equal(out.alpha, tokens.alpha)


@pytest.mark.parametrize("vectorized", [True, False])
def test_no_deviation_is_an_error(make_tokens, vectorized):
    with pytest.raises(ValueError, match="std"):
        PerSegment(v2.Normalize([0.5], [0.0]), vectorized=vectorized)(make_tokens(2, dtype=torch.float32))


def test_one_outcome():
    for transform in (v2.ToDtype(torch.float32, scale=True), v2.ConvertImageDtype(), v2.Normalize([0.5], [0.5])):
        assert len(PerSegment(transform)._plan.outcomes((3, 4, 4))) == 1
