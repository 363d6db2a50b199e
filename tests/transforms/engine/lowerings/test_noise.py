"""Gaussian noise."""

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from segaug import PerSegment, SegmentedImage, SegmentMap
from segaug.functional._noise import seeded_normal

DTYPES = pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=["uint8", "float32"])


def replay_noise(transform, patch, row):
    """torchvision's own, with the numbers that it draws replaced."""
    channels, *size = F.get_dimensions(patch)
    noise = seeded_normal(torch.tensor([row["seed"]]), channels * size[0] * size[1]).view(channels, *size)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(torch, "randn_like", lambda image, **options: noise)
        return transform.transform(patch, {})


@pytest.mark.parametrize("channels", [1, 3])
@DTYPES
@pytest.mark.parametrize(
    "options", [{}, {"mean": 0.1, "sigma": 0.3}, {"mean": -0.2, "sigma": 0.0}, {"sigma": 1.0, "clip": False}]
)
def test_equals_the_loop(check_equals_loop, dtype, channels, options):
    if dtype != torch.uint8 and not options.get("clip", True):
        options = options | {"sigma": 1e-3, "mean": 0.01}
    check_equals_loop(v2.GaussianNoise(**options), dtype=dtype, channels=channels, replay=replay_noise)


@DTYPES
def test_the_noise_is_torchvisions_in_distribution(make_tokens, check_same_distribution, dtype):
    tokens = make_tokens(20, full=True, size=10, dtype=dtype)
    tokens.patches[:] = 100 if dtype == torch.uint8 else 0.4
    transform = v2.GaussianNoise(0.05, 0.07)
    torch.manual_seed(0)
    ours = PerSegment(transform)(tokens).patches.as_subclass(torch.Tensor)
    theirs = transform(tokens.patches.as_subclass(torch.Tensor))
    check_same_distribution(ours.flatten()[:5000], theirs.flatten()[:5000])


def test_seeds_differ_between_segments_and_replay(make_tokens):
    tokens, per_segment = make_tokens(20, full=True), PerSegment(v2.GaussianNoise())
    params = per_segment.make_params([tokens])
    assert len(params["child"]["seed"].unique()) == 21
    first, again = (per_segment.transform(tokens, params).patches for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, per_segment(tokens).patches)


@DTYPES
def test_in_the_picture(photo, make_map, check_same_distribution, dtype):
    image = torch.full_like(photo, 100) if dtype == torch.uint8 else torch.full(photo.shape, 0.4)
    sample = SegmentedImage(tv_tensors.Image(image), SegmentMap(make_map(72, 96, 9)))
    transform = v2.GaussianNoise(0.05, 0.07)
    torch.manual_seed(0)
    out = PerSegment(transform, background=False)(sample).image.as_subclass(torch.Tensor)
    own = (sample.segments > 0).as_subclass(torch.Tensor)
    assert torch.equal(out[:, ~own], image[:, ~own])
    check_same_distribution(out[:, own].flatten()[:5000], transform(image)[:, own].flatten()[:5000])


def test_negative_sigma_is_an_error(make_tokens):
    with pytest.raises(ValueError, match="sigma must be at least 0, got -1"):
        PerSegment(v2.GaussianNoise(sigma=-1.0))(make_tokens(2))


def test_normal_numbers():
    noise = seeded_normal(torch.arange(400), 500).double().numpy()
    assert stats.kstest(noise.ravel(), "norm").pvalue > 0.01
    # Neither rows nor neighbours nor the two numbers of one pair hang together.
    for left, right in ((noise[1:], noise[:-1]), (noise[:, 1:], noise[:, :-1]), (noise[:, :250], noise[:, 250:])):
        for power in (1, 2):
            assert abs(np.corrcoef(left.ravel() ** power, right.ravel() ** power)[0, 1]) < 0.01
    assert seeded_normal(torch.tensor([-(2**63), 2**63 - 1, 0]), 7).isfinite().all()
    assert seeded_normal(torch.zeros(0, dtype=torch.int64), 3).shape == (0, 3)
