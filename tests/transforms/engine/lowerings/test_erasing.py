"""Random erasing."""

import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from segaug import PerSegment
from segaug.functional._noise import seeded_normal

DTYPES = pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=["uint8", "float32"])


def replay_erasing(transform, patch, row):
    if not row["gate"]:
        return patch
    i, j, h, w = (row[key] for key in "ijhw")
    if "seed" in row:
        shape = F.get_dimensions(patch)
        noise = seeded_normal(torch.tensor([row["seed"]]), shape[0] * shape[1] * shape[2]).view(shape)
        value = noise[:, i : i + h, j : j + w]
    else:
        value = row["v"]
    return transform.transform(patch, {"i": i, "j": j, "h": h, "w": w, "v": value})


@pytest.mark.parametrize("channels", [1, 3])
@DTYPES
@pytest.mark.parametrize("value", [0, 0.7, "random"])
def test_equals_the_loop(check_equals_loop, dtype, channels, value):
    transform = v2.RandomErasing(0.7, value=value)
    check_equals_loop(transform, dtype=dtype, channels=channels, replay=replay_erasing)


def test_a_colour_equals_the_loop(check_equals_loop):
    check_equals_loop(v2.RandomErasing(0.7, value=(20, 255, 3), scale=(0.3, 0.9)), replay=replay_erasing)


@pytest.mark.parametrize("options", [{}, {"scale": (0.3, 0.95), "ratio": (0.2, 5.0)}])
def test_draws(draw_ours, draw_theirs, check_same_distribution, options):
    transform = v2.RandomErasing(0.4, **options)
    ours, theirs = draw_ours(transform), draw_theirs(transform)
    torch.manual_seed(1)
    check_same_distribution(ours["gate"], torch.rand(5000) < 0.4)
    # Where no window fitted, torchvision gives the whole image and no value.
    fits = [row["v"] is not None for row in theirs]
    check_same_distribution(ours["h"] > 0, fits)
    own = ours["h"] > 0
    for key in "ijhw":
        drawn = [row[key] for row, fit in zip(theirs, fits, strict=True) if fit]
        check_same_distribution(ours[key][own], drawn)
    drawn = [row["h"] * 100 + row["w"] for row, fit in zip(theirs, fits, strict=True) if fit]
    check_same_distribution((ours["h"] * 100 + ours["w"])[own], drawn)


@DTYPES
def test_coverage_stays_and_outside_stays_black(make_tokens, dtype):
    tokens = make_tokens(30, dtype=dtype, size=12)
    out = PerSegment(v2.RandomErasing(1.0, value=1.0 if dtype == torch.float32 else 255))(tokens)
    assert torch.equal(out.alpha, tokens.alpha)
    outside = (tokens.alpha == 0).unsqueeze(-3).expand_as(out.patches)
    assert not out.patches[outside].any()
    assert not torch.equal(out.patches, tokens.patches)


@pytest.mark.parametrize("vectorized", [True, False])
def test_values_that_do_not_fit_the_channels(make_tokens, vectorized):
    with pytest.raises(ValueError, match=r"(?i)value.*should have|value must be one number or one per channel"):
        PerSegment(v2.RandomErasing(1.0, value=(1, 2)), vectorized=vectorized)(make_tokens(2))
