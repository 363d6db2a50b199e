import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as F

from segaug.functional import (
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    color_jitter,
    rgb_to_grayscale,
)

FACTORS = [0.0, 0.1, 0.5, 0.93, 1.0, 1.07, 1.9, 3.3]
SHIFTS = [-0.5, -0.31, -0.01, 0.0, 0.02, 0.17, 0.4, 0.5]
# The kernel, torchvision's functional, and factors for both.
ADJUST = {
    "brightness": (adjust_brightness, F.adjust_brightness_image, FACTORS),
    "contrast": (adjust_contrast, F.adjust_contrast_image, FACTORS),
    "saturation": (adjust_saturation, F.adjust_saturation_image, FACTORS),
    "hue": (adjust_hue, F.adjust_hue_image, SHIFTS),
}
EVERYTHING = {
    **{name: kernel for name, (kernel, _, _) in ADJUST.items()},
    "grayscale": lambda patches, alpha, factor: rgb_to_grayscale(patches, alpha, factor > 0.2),
    "jitter": lambda patches, alpha, factor: color_jitter(
        patches,
        alpha,
        factor[..., None].expand(*factor.shape, 4).mul(0).add(torch.tensor([2, 0, 3, 1])).long(),
        brightness=factor + 0.5,
        contrast=factor + 0.7,
        saturation=factor + 0.2,
        hue=factor * 0.5,
    ),
}


def fields(tokens):
    return tokens.patches.as_subclass(torch.Tensor), tokens.alpha.as_subclass(torch.Tensor)


@pytest.fixture(scope="module")
def full_mask(load_photo):
    """Cells of photos, (12, 3, 16, 16) uint8, and among them gray, black, white and pure colours."""
    picture = load_photo("coffee", 32, 48)
    cells = picture.unfold(1, 16, 16).unfold(2, 16, 16).permute(1, 2, 0, 3, 4).flatten(0, 1).contiguous()
    special = torch.zeros(6, 3, 16, 16, dtype=torch.uint8)
    special[1], special[2] = 255, 77
    special[3, 0], special[4, 1:], special[5] = 255, 255, torch.arange(256, dtype=torch.uint8).view(1, 16, 16)
    return torch.cat([cells, special])


class TestFullMask:
    @pytest.mark.parametrize("channels", [3, 1])
    @pytest.mark.parametrize("name", ADJUST)
    def test_uint8_equals_torchvision_bit_for_bit(self, full_mask, name, channels):
        kernel, plain, factors = ADJUST[name]
        pairs = list(itertools.product(full_mask[:, :channels], factors))
        patches = torch.stack([patch for patch, _ in pairs])
        alpha = torch.full_like(patches[:, 0], 255)
        out = kernel(patches, alpha, torch.tensor([factor for _, factor in pairs]))
        assert out.dtype == torch.uint8
        for got, (patch, factor) in zip(out, pairs, strict=True):
            assert torch.equal(got, plain(patch, torch.tensor(factor).item())), factor

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("channels", [3, 1])
    @pytest.mark.parametrize("name", ADJUST)
    def test_float_equals_torchvision(self, full_mask, name, channels, dtype):
        kernel, plain, factors = ADJUST[name]
        pairs = list(itertools.product((full_mask[:, :channels].double() / 255).to(dtype), factors))
        patches = torch.stack([patch for patch, _ in pairs])
        out = kernel(patches, torch.ones_like(patches[:, 0]), torch.tensor([factor for _, factor in pairs]))
        assert out.dtype == dtype
        for got, (patch, factor) in zip(out, pairs, strict=True):
            torch.testing.assert_close(got, plain(patch, factor), rtol=0, atol=1e-5)

    @pytest.mark.parametrize("channels", [3, 1])
    def test_grayscale(self, full_mask, channels):
        patches = full_mask[:, :channels]
        which = torch.arange(len(patches)) % 2 == 0
        out = rgb_to_grayscale(patches, torch.full_like(patches[:, 0], 255), which)
        for got, patch, chosen in zip(out, patches, which.tolist(), strict=True):
            expected = F.rgb_to_grayscale_image(patch, channels) if chosen else patch
            assert torch.equal(got, expected)
        floats = rgb_to_grayscale(patches / 255, torch.ones(len(patches), 16, 16), which)
        expected = torch.where(
            which[:, None, None, None], F.rgb_to_grayscale_image(patches / 255, channels), patches / 255
        )
        torch.testing.assert_close(floats, expected, rtol=0, atol=1e-5)

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
    def test_jitter_in_every_order(self, full_mask, dtype):
        orders = list(itertools.permutations(range(4)))
        patches = full_mask[torch.arange(len(orders)) % len(full_mask)]
        patches = patches if dtype == torch.uint8 else patches / 255
        alpha = torch.full_like(patches[:, 0], 255 if dtype == torch.uint8 else 1)
        generator = torch.Generator().manual_seed(0)
        factors = torch.rand((4, len(orders)), generator=generator) * 1.5
        factors[3] -= 0.75
        factors[3] *= 0.6
        out = color_jitter(patches, alpha, torch.tensor(orders), *factors)
        steps = [plain for _, plain, _ in ADJUST.values()]
        for i, order in enumerate(orders):
            expected = patches[i]
            for step in order:
                expected = steps[step](expected, factors[step, i].item())
            # bit for bit for uint8
            bound = 0 if dtype == torch.uint8 else 1e-5
            assert (out[i].double() - expected.double()).abs().max() <= bound, order

    def test_jitter_leaves_out_what_is_not_given(self, full_mask):
        alpha = torch.full_like(full_mask[:, 0], 255)
        order = torch.tensor([3, 1, 0, 2]).expand(len(full_mask), 4)
        assert torch.equal(color_jitter(full_mask, alpha, order), full_mask)
        factor = torch.full((len(full_mask),), 0.4)
        for name, (kernel, _, _) in ADJUST.items():
            assert torch.equal(
                color_jitter(full_mask, alpha, order, **{name: factor}), kernel(full_mask, alpha, factor)
            )

    @pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
    def test_one_changes_nothing(self, full_mask, make_tokens, name):
        patches, alpha = fields(make_tokens(5, size=16))
        for pixels, coverage in ((full_mask, torch.full_like(full_mask[:, 0], 255)), (patches, alpha)):
            assert torch.equal(ADJUST[name][0](pixels, coverage, torch.ones(len(pixels))), pixels)


class TestOwnPixels:
    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.float32, torch.float64])
    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("name", EVERYTHING)
    def test_outside_is_black_and_colour_is_below_coverage(self, make_tokens, name, channels, dtype):
        patches, alpha = fields(make_tokens(6, dtype=dtype, channels=channels, padding=1))
        before = patches.clone(), alpha.clone()
        factor = torch.linspace(0, 1, len(patches))
        out = EVERYTHING[name](patches, alpha, factor)
        assert torch.equal(patches, before[0])
        assert torch.equal(alpha, before[1])
        assert (out.shape, out.dtype) == (patches.shape, dtype)
        assert torch.isfinite(out).all()
        assert (out * (alpha == 0).unsqueeze(-3) == 0).all()
        assert (out.double() <= alpha.double().unsqueeze(-3) + (0 if dtype == torch.uint8 else 1e-6)).all()
        assert (out >= 0).all()

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
    @pytest.mark.parametrize("name", ADJUST)
    def test_a_segment_is_changed_as_if_it_were_alone(self, full_mask, name, dtype):
        # What torchvision gives for the segment's own pixels, laid out as a picture of their own.
        kernel, plain, factors = ADJUST[name]
        generator = torch.Generator().manual_seed(0)
        own = (
            torch.rand(len(full_mask), 16, 16, generator=generator)
            < torch.linspace(0.02, 0.9, len(full_mask))[:, None, None]
        )
        patches = full_mask if dtype == torch.uint8 else full_mask / 255
        alpha = own.to(dtype) * (255 if dtype == torch.uint8 else 1)
        for factor in factors:
            out = kernel(patches * own[:, None], alpha, torch.full((len(patches),), factor))
            for got, patch, mask in zip(out, patches, own, strict=True):
                if mask.any():
                    expected = plain(patch[:, mask][:, None], torch.tensor(factor).item())[:, 0]
                    assert (got[:, mask].double() - expected.double()).abs().max() <= (
                        1 if dtype == torch.uint8 else 1e-5
                    )
                assert not got[:, ~mask].any()

    def test_partial_coverage_weighs_in_the_mean(self):
        patches = torch.tensor([[[[0.2, 0.4]]]])
        alpha = torch.tensor([[[1.0, 0.5]]])
        # Straight 0.2 and 0.8, weights 1 and 0.5: the mean is 0.4.
        out = adjust_contrast(patches, alpha, torch.tensor([0.0]))
        torch.testing.assert_close(out, torch.tensor([[[[0.4, 0.2]]]]))

    @pytest.mark.parametrize("name", EVERYTHING)
    def test_a_segment_without_coverage_stays_black(self, name):
        for dtype in (torch.uint8, torch.float32):
            patches, alpha = torch.zeros(2, 3, 4, 4, dtype=dtype), torch.zeros(2, 4, 4, dtype=dtype)
            assert not EVERYTHING[name](patches, alpha, torch.tensor([0.3, 0.9])).any()

    @settings(max_examples=30, deadline=None, derandomize=True)
    @given(
        name=st.sampled_from(sorted(EVERYTHING)),
        leading=st.sampled_from([(), (1,), (2,), (2, 3), (1, 2, 1), (0,), (2, 0)]),
        dtype=st.sampled_from([torch.uint8, torch.float32]),
        channels=st.sampled_from([1, 3]),
        seed=st.integers(0, 50),
    )
    def test_a_batch_equals_its_segments(self, make_tokens, name, leading, dtype, channels, seed):
        patches, alpha = fields(make_tokens(2, batch=leading, dtype=dtype, channels=channels, seed=seed))
        factor = torch.rand(alpha.shape[:-2], generator=torch.Generator().manual_seed(seed))
        out = EVERYTHING[name](patches, alpha, factor)
        segments = zip(out.flatten(0, -4), patches.flatten(0, -4), alpha.flatten(0, -3), factor.flatten(), strict=True)
        for got, patch, coverage, one in segments:
            alone = EVERYTHING[name](patch[None], coverage[None], one[None])[0]
            torch.testing.assert_close(got, alone, rtol=0, atol=1e-6)

    @pytest.mark.parametrize("name", EVERYTHING)
    def test_strided_patches(self, make_tokens, name):
        patches, alpha = fields(make_tokens(3))
        turned, coverage = patches.transpose(-1, -2), alpha.transpose(-1, -2)
        factor = torch.tensor([0.1, 0.4, 0.7, 1.0])
        left = EVERYTHING[name](turned, coverage, factor)
        assert torch.equal(left, EVERYTHING[name](turned.contiguous(), coverage.contiguous(), factor))


class TestBadInput:
    @pytest.mark.parametrize("name", ADJUST)
    @pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 1)])
    def test_factors(self, name, shape):
        with pytest.raises(ValueError, match=r"(factor|shift) must have one value per segment, shape \(2,\)"):
            ADJUST[name][0](torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4), torch.zeros(shape))

    def test_choice(self):
        with pytest.raises(ValueError, match="which must have one value per segment"):
            rgb_to_grayscale(torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4), torch.tensor([True]))

    @pytest.mark.parametrize("name", EVERYTHING)
    @pytest.mark.parametrize(
        ("shape", "dtype"), [((2, 4, 5), torch.float32), ((1, 4, 4), torch.float32), ((2, 4, 4), torch.uint8)]
    )
    def test_alpha(self, name, shape, dtype):
        with pytest.raises(ValueError, match="alpha must fit patches, got"):
            EVERYTHING[name](torch.zeros(2, 3, 4, 4), torch.zeros(shape, dtype=dtype), torch.zeros(2))

    def test_order(self):
        with pytest.raises(ValueError, match=r"order must have shape \(2, 4\), got"):
            color_jitter(torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4), torch.arange(4))
