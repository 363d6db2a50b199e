"""Blur and sharpness: with a full mask torchvision's, and else nothing leaks over the segment's edge."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as F

from segaug.functional import adjust_sharpness, gaussian_blur

FACTORS = [0.0, 0.3, 1.0, 2.0, 7.7]
SIGMAS = [0.05, 0.4, 1.0, 3.0, 40.0]
DTYPES = pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=str)


def blur(patches, alpha, number, kernel_size=(5, 7)):
    return gaussian_blur(patches, alpha, kernel_size, torch.stack([number + 0.05, number * 2 + 0.1], -1))


FILTERS = {"sharpness": adjust_sharpness, "blur": blur}


def fields(tokens):
    return tokens.patches.as_subclass(torch.Tensor), tokens.alpha.as_subclass(torch.Tensor)


class TestFullMask:
    @DTYPES
    @pytest.mark.parametrize("channels", [1, 3])
    def test_sharpness(self, make_tokens, channels, dtype):
        patches, alpha = fields(make_tokens(29, full=True, channels=channels, dtype=dtype, size=9))
        factors = torch.tensor(FACTORS).repeat(6)
        out = adjust_sharpness(patches, alpha, factors)
        for got, patch, factor in zip(out, patches, factors.tolist(), strict=True):
            # Bit for bit for uint8.
            bound = 0 if dtype == torch.uint8 else 1e-5
            torch.testing.assert_close(got, F.adjust_sharpness_image(patch, factor), rtol=0, atol=bound)

    @DTYPES
    @pytest.mark.parametrize("kernel_size", [(1, 1), (3, 3), (1, 5), (9, 5), (17, 17)])
    def test_blur(self, make_tokens, kernel_size, dtype):
        patches, alpha = fields(make_tokens(29, full=True, dtype=dtype, size=9))
        sigmas = torch.stack([torch.tensor(SIGMAS).repeat(6), torch.tensor(SIGMAS).repeat_interleave(6)], -1)
        out = gaussian_blur(patches, alpha, kernel_size, sigmas)
        for got, patch, sigma in zip(out, patches, sigmas.tolist(), strict=True):
            expected = F.gaussian_blur_image(patch, list(kernel_size), sigma)
            assert (got.double() - expected.double()).abs().max() <= (1 if dtype == torch.uint8 else 1e-5)


class TestNoLeak:
    @DTYPES
    @pytest.mark.parametrize("name", FILTERS)
    def test_one_colour_stays_that_colour(self, make_tokens, name, dtype):
        _, alpha = fields(make_tokens(39, dtype=dtype, size=12))
        colors = torch.randint(0, 256, (40, 3, 1, 1), generator=torch.Generator().manual_seed(0))
        if dtype == torch.uint8:
            # Below partial coverage levels are rounded, so there they are not quite one colour.
            alpha = alpha.clamp(max=1) * 255
            patches = colors.to(torch.uint8) * (alpha[:, None] > 0)
        else:
            patches = colors / 255 * alpha[:, None]
        for number in (0.0, 0.5, 2.0):
            out = FILTERS[name](patches, alpha, torch.full((40,), number))
            torch.testing.assert_close(out, patches, rtol=0, atol=0 if dtype == torch.uint8 else 2e-6)

    @DTYPES
    @pytest.mark.parametrize("name", FILTERS)
    def test_what_is_outside_never_counts(self, make_tokens, name, dtype):
        patches, alpha = fields(make_tokens(19, dtype=dtype, size=12))
        outside = (alpha == 0)[:, None].expand_as(patches)
        other = torch.where(outside, torch.full_like(patches, 200 if dtype == torch.uint8 else 0.8), patches)
        number = torch.linspace(0, 3, 20)
        assert torch.equal(FILTERS[name](patches, alpha, number), FILTERS[name](other, alpha, number))
        assert not FILTERS[name](other, alpha, number)[outside].any()

    def test_two_segments_of_one_picture_do_not_see_each_other(self, photo):
        left = torch.zeros(photo.shape[1:])
        left[:, :40] = 1
        patches = torch.stack([photo / 255 * left, photo / 255 * (1 - left)])
        for name, kernel in FILTERS.items():
            both = kernel(patches, torch.stack([left, 1 - left]), torch.tensor([2.0, 2.0])).sum(0)
            changed = photo.clone()
            changed[:, :, 40:] = 255 - changed[:, :, 40:]
            other = torch.stack([photo / 255 * left, changed / 255 * (1 - left)])
            again = kernel(other, torch.stack([left, 1 - left]), torch.tensor([2.0, 2.0])).sum(0)
            assert torch.equal(both[:, :, :40], again[:, :, :40]), name
            assert not torch.equal(both[:, :, :40], (photo / 255)[:, :, :40]), name

    def test_a_blurred_segment_keeps_within_its_own_range(self, make_tokens):
        patches, alpha = fields(make_tokens(30, dtype=torch.float64, size=12))
        out = blur(patches, alpha, torch.linspace(0.1, 5, 31))
        for before, after, coverage in zip(patches, out, alpha, strict=True):
            own = coverage > 0
            old, new = before[:, own] / coverage[own], after[:, own] / coverage[own]
            assert (new.amin(-1) >= old.amin(-1) - 1e-9).all()
            assert (new.amax(-1) <= old.amax(-1) + 1e-9).all()
            assert ((new.amax(-1) - new.amin(-1)) < (old.amax(-1) - old.amin(-1))).all()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(sorted(FILTERS)),
    leading=st.sampled_from([(), (1,), (3,), (2, 3), (0,), (2, 0)]),
    dtype=st.sampled_from([torch.uint8, torch.float16, torch.float32]),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 50),
)
def test_a_batch_equals_its_segments(make_tokens, name, leading, dtype, channels, seed):
    patches, alpha = fields(make_tokens(2, batch=leading, dtype=dtype, channels=channels, seed=seed, size=8, padding=1))
    number = torch.rand(alpha.shape[:-2], generator=torch.Generator().manual_seed(seed)) * 4
    before = patches.clone()
    out = FILTERS[name](patches, alpha, number)
    assert torch.equal(patches, before)
    assert (out.shape, out.dtype) == (patches.shape, dtype)
    assert not (out * (alpha == 0).unsqueeze(-3)).any()
    assert ((out >= 0) & (out.double() <= alpha.double().unsqueeze(-3) + 1e-6)).all()
    segments = zip(out.flatten(0, -4), patches.flatten(0, -4), alpha.flatten(0, -3), number.flatten(), strict=True)
    for got, patch, coverage, one in segments:
        alone = FILTERS[name](patch[None], coverage[None], one[None])[0]
        bound = {torch.uint8: 1, torch.float16: 2e-3, torch.float32: 1e-5}[dtype]
        assert (got.double() - alone.double()).abs().max() <= bound


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 9), (9, 2), (3, 3)])
def test_small_patches(height, width):
    patches = torch.rand((4, 3, height, width), generator=torch.Generator().manual_seed(0))
    alpha = torch.ones(4, height, width)
    for got, patch in zip(adjust_sharpness(patches, alpha, torch.full((4,), 3.0)), patches, strict=True):
        torch.testing.assert_close(got, F.adjust_sharpness_image(patch, 3.0), rtol=0, atol=1e-5)
    size = (2 * width - 1, 2 * height - 1)
    for got, patch in zip(gaussian_blur(patches, alpha, size, torch.ones(4, 2)), patches, strict=True):
        torch.testing.assert_close(got, F.gaussian_blur_image(patch, list(size), [1.0, 1.0]), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (
            lambda x, a: adjust_sharpness(x, a, torch.tensor([-1.0, 1])),
            ValueError,
            "factor must be finite and at least 0",
        ),
        (lambda x, a: adjust_sharpness(x, a, torch.ones(3)), ValueError, "factor must have one value per segment"),
        (lambda x, a: adjust_sharpness(x, a[:1], torch.ones(2)), ValueError, "alpha must fit patches"),
        (
            lambda x, a: gaussian_blur(x, a, (4, 3), torch.ones(2, 2)),
            ValueError,
            r"kernel_size must be odd, got \(4, 3\)",
        ),
        (
            lambda x, a: gaussian_blur(x, a, (3, 9), torch.ones(2, 2)),
            ValueError,
            "kernel_size must be at most twice the h",
        ),
        (
            lambda x, a: gaussian_blur(x, a, (3, 0), torch.ones(2, 2)),
            ValueError,
            "kernel_size must be at least 1, got 0",
        ),
        (lambda x, a: gaussian_blur(x, a, (3, 3), torch.zeros(2, 2)), ValueError, "sigma must be above 0, got 0"),
        (lambda x, a: gaussian_blur(x, a, (3, 3), torch.ones(2)), ValueError, "sigma must have"),
        (lambda x, a: gaussian_blur(x, a, (3, 3), torch.ones(3, 2)), ValueError, "sigma must have"),
    ],
)
def test_bad_input(call, error, match):
    with pytest.raises(error, match=match):
        call(torch.zeros(2, 3, 4, 4), torch.ones(2, 4, 4))
