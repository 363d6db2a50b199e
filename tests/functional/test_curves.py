"""Tone curves: with a full mask torchvision's, else those of the segment's own pixels."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as F

from segaug.functional import autocontrast, equalize, invert, posterize, solarize

BITS = [0, 1, 2, 3, 4, 5, 6, 7, 8]
THRESHOLDS = [0.0, 0.01, 0.2, 0.5, 0.502, 0.9, 1.0]
# The kernel with its parameter, torchvision's functional, and parameters for both.
CURVES = {
    "autocontrast": (lambda x, a, _: autocontrast(x, a), lambda x, _: F.autocontrast_image(x), [0]),
    "equalize": (lambda x, a, _: equalize(x, a), lambda x, _: F.equalize_image(x), [0]),
    "invert": (lambda x, a, _: invert(x, a), lambda x, _: F.invert_image(x), [0]),
    "posterize": (posterize, F.posterize_image, BITS),
    "solarize": (
        lambda x, a, threshold: solarize(x, a, threshold * (255 if x.dtype == torch.uint8 else 1)),
        lambda x, threshold: F.solarize_image(x, threshold * (255 if x.dtype == torch.uint8 else 1)),
        THRESHOLDS,
    ),
}
DTYPES = pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64], ids=str)


@pytest.fixture(scope="module")
def pixels(load_photo):
    """Cells of a photo, dark and bright ones, and a few special ones: (20, 3, 20, 20) uint8."""
    cells = load_photo("coffee", 60, 100).unfold(1, 20, 20).unfold(2, 20, 20).permute(1, 2, 0, 3, 4).flatten(0, 1)
    special = torch.zeros(5, 3, 20, 20, dtype=torch.uint8)
    special[1], special[2, 0] = 255, 7
    special[3] = (torch.arange(400) // 7).to(torch.uint8).view(20, 20)
    # All but 255 pixels of the brightest level, and one pixel more.
    special[4].flatten(1)[:, 255:] = 200
    special[4, 1].flatten()[0] = 200
    return torch.cat([cells, special])


def full_mask(patches):
    return torch.full_like(patches[:, 0], 255 if patches.dtype == torch.uint8 else 1)


@DTYPES
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", CURVES)
def test_a_full_mask_gives_torchvisions_result_bit_for_bit(pixels, name, channels, dtype):
    kernel, plain, values = CURVES[name]
    patches = pixels[:, :channels] if dtype == torch.uint8 else (pixels[:, :channels].double() / 255).to(dtype)
    for value in values:
        out = kernel(patches, full_mask(patches), torch.from_numpy(np.full(len(patches), value)))
        assert out.dtype == dtype
        for got, patch in zip(out, patches, strict=True):
            assert torch.equal(got, plain(patch, value)), value


@DTYPES
@pytest.mark.parametrize("name", CURVES)
def test_a_segment_is_changed_as_if_it_were_alone(pixels, name, dtype):
    kernel, plain, values = CURVES[name]
    generator = torch.Generator().manual_seed(0)
    own = torch.rand(len(pixels), 20, 20, generator=generator) < torch.linspace(0.02, 0.98, len(pixels))[:, None, None]
    patches = (pixels if dtype == torch.uint8 else (pixels.double() / 255).to(dtype)) * own[:, None]
    alpha = full_mask(patches) * own
    changed = 0
    for value in values:
        out = kernel(patches, alpha, torch.from_numpy(np.full(len(patches), value)))
        for got, patch, mask in zip(out, patches, own, strict=True):
            expected = plain(patch[:, mask][:, None], value)[:, 0]
            assert torch.equal(got[:, mask], expected)
            assert not got[:, ~mask].any()
            changed += int(not torch.equal(expected, patch[:, mask]))
    assert changed


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(sorted(CURVES)),
    leading=st.sampled_from([(), (1,), (3,), (2, 3), (0,), (2, 0)]),
    dtype=st.sampled_from([torch.uint8, torch.float16, torch.float32]),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 50),
)
def test_a_batch_equals_its_segments_and_nothing_is_outside(make_tokens, name, leading, dtype, channels, seed):
    kernel, _, values = CURVES[name]
    tokens = make_tokens(2, batch=leading, dtype=dtype, channels=channels, seed=seed, size=18, padding=1)
    patches, alpha = (leaf.as_subclass(torch.Tensor) for leaf in (tokens.patches, tokens.alpha))
    before = patches.clone(), alpha.clone()
    number = torch.tensor(values)[torch.arange(alpha.shape[:-2].numel()) % len(values)].view(alpha.shape[:-2])
    out = kernel(patches, alpha, number)
    assert torch.equal(patches, before[0])
    assert torch.equal(alpha, before[1])
    assert (out.shape, out.dtype) == (patches.shape, dtype)
    assert out.isfinite().all()
    assert not (out * (alpha == 0).unsqueeze(-3)).any()
    assert ((out >= 0) & (out.double() <= alpha.double().unsqueeze(-3) + 1e-6)).all()
    segments = zip(out.flatten(0, -4), patches.flatten(0, -4), alpha.flatten(0, -3), number.flatten(), strict=True)
    for got, patch, coverage, one in segments:
        assert torch.equal(got, kernel(patch[None], coverage[None], one[None])[0])


def test_inverting_twice_changes_nothing(make_tokens):
    tokens = make_tokens(20, full=True)
    patches, alpha = (leaf.as_subclass(torch.Tensor) for leaf in (tokens.patches, tokens.alpha))
    assert torch.equal(invert(invert(patches, alpha), alpha), patches)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda x, a: posterize(x, a, torch.tensor([3.0, 4.0])), TypeError, "bits must be of an integer type"),
        (lambda x, a: posterize(x, a, torch.tensor([9, 1])), ValueError, "bits must be at most 8, got 9"),
        (lambda x, a: posterize(x, a, torch.tensor([-1, 1])), ValueError, "bits must be"),
        (lambda x, a: posterize(x, a, torch.tensor([1])), ValueError, "bits must have one value per segment"),
        (lambda x, a: solarize(x, a, torch.tensor([torch.nan, 1])), ValueError, "threshold must be finite"),
        (lambda x, a: solarize(x, a, torch.tensor(0.5)), ValueError, "threshold must have one value per segment"),
        (lambda x, a: invert(x, a[:1]), ValueError, "alpha must fit patches"),
        (lambda x, a: equalize(x, a.byte()), ValueError, "alpha must fit patches"),
        (lambda x, a: autocontrast(x.long(), a.long()), TypeError, "patches must be uint8 or float"),
    ],
)
def test_bad_input(call, error, match):
    with pytest.raises(error, match=match):
        call(torch.zeros(2, 3, 4, 4), torch.ones(2, 4, 4))
