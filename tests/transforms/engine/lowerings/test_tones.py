"""Invert, posterize, solarize, autocontrast and equalize."""

import pytest
import torch
from torchvision.transforms import v2

from segaug import PerSegment

TONES = {
    "invert": v2.RandomInvert(0.5),
    "posterize": v2.RandomPosterize(3, p=0.5),
    "posterize_all": v2.RandomPosterize(0, p=0.5),
    "posterize_none": v2.RandomPosterize(8, p=0.5),
    "solarize": v2.RandomSolarize(0.4, p=0.5),
    "autocontrast": v2.RandomAutocontrast(0.5),
    "equalize": v2.RandomEqualize(0.5),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=["uint8", "float32"])
@pytest.mark.parametrize("name", TONES)
def test_equals_the_loop(check_equals_loop, name, dtype, channels):
    # Below 256 pixels equalize changes nothing.
    check_equals_loop(TONES[name], dtype=dtype, channels=channels, size=20 if name == "equalize" else 9)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=["uint8", "float32"])
@pytest.mark.parametrize("name", TONES)
def test_in_the_picture(check_in_picture, name, dtype, channels):
    # Bit for bit, as no coverage comes in between.
    check_in_picture(TONES[name], dtype=dtype, channels=channels, atol=0 if dtype == torch.uint8 else 1e-6)


def test_solarize_equals_the_loop_on_levels(check_equals_loop):
    check_equals_loop(v2.RandomSolarize(128.0, p=0.5))


@pytest.mark.parametrize("name", TONES)
def test_draws(draw_ours, check_same_distribution, name):
    torch.manual_seed(1)
    check_same_distribution(draw_ours(TONES[name])["gate"], torch.rand(5000) < 0.5)


@pytest.mark.parametrize("name", TONES)
def test_outcomes(name):
    outcomes = PerSegment(TONES[name])._plan.outcomes((3, 4, 4))
    assert [params["child"]["gate"].tolist() for params in outcomes] == [[False], [True]]


@pytest.mark.parametrize("vectorized", [True, False])
@pytest.mark.parametrize(
    ("transform", "match"),
    [
        (v2.RandomPosterize(9, p=1.0), "bits must be"),
        (v2.RandomPosterize(2.5, p=1.0), "bits must be"),
        (v2.RandomSolarize(256, p=1.0), "(?i)threshold"),
    ],
)
def test_bad_parameters(make_tokens, transform, match, vectorized):
    with pytest.raises(TypeError, match=match):
        PerSegment(transform, vectorized=vectorized)(make_tokens(2))
