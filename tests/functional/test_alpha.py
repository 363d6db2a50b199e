import pytest
import torch

from segaug.functional import premultiply, unpremultiply


def test_every_pair_of_levels_comes_back():
    alpha = torch.arange(256, dtype=torch.uint8)[:, None].expand(256, 256)
    patches = torch.minimum(torch.arange(256, dtype=torch.uint8)[None, :].expand(256, 256), alpha)[None]
    straight = unpremultiply(patches, alpha)
    assert straight.dtype == torch.float32
    assert torch.equal(straight, straight.round())
    assert straight.min() == 0
    assert straight.max() == 255
    assert torch.equal(premultiply(straight, alpha), patches)


def test_full_coverage_changes_nothing():
    patches = torch.arange(256, dtype=torch.uint8).view(1, 16, 16)
    alpha = torch.full((16, 16), 255, dtype=torch.uint8)
    assert torch.equal(unpremultiply(patches, alpha), patches.float())
    assert torch.equal(premultiply(patches.float(), alpha), patches)
    for dtype in (torch.float16, torch.float32, torch.float64):
        floats = torch.rand(3, 5, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
        ones = torch.ones(5, 5, dtype=dtype)
        assert torch.equal(unpremultiply(floats, ones), floats)
        assert torch.equal(premultiply(floats, ones), floats)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.float32])
def test_nothing_outside(dtype):
    full = 255 if dtype == torch.uint8 else 1
    patches, alpha = torch.full((3, 1, 2), full, dtype=dtype), torch.tensor([[0, full]], dtype=dtype)
    straight = unpremultiply(patches, alpha)
    assert straight[:, 0].tolist() == [[0.0, full]] * 3
    assert premultiply(straight, alpha)[:, 0].tolist() == [[0, full]] * 3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_faintest_coverage(dtype):
    # The reciprocal of the smallest numbers is infinite.
    info = torch.finfo(dtype)
    alpha = torch.tensor([[info.tiny, info.smallest_normal, info.eps, info.tiny / 4, 1e-7]], dtype=dtype)
    for patches in (torch.zeros_like(alpha)[None], alpha[None], alpha[None] / 2):
        straight = unpremultiply(patches, alpha)
        assert torch.isfinite(straight).all()
        assert straight.min() >= 0
        assert straight.max() <= 1
    assert (unpremultiply(alpha[None], alpha)[0][alpha > 0] == 1).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_floats_come_back(dtype):
    generator = torch.Generator().manual_seed(0)
    alpha = torch.rand(4, 9, 9, generator=generator, dtype=dtype)
    patches = torch.rand(4, 3, 9, 9, generator=generator, dtype=dtype) * alpha[:, None]
    torch.testing.assert_close(premultiply(unpremultiply(patches, alpha), alpha), patches, rtol=1e-6, atol=1e-7)


def test_more_colour_than_coverage_is_cut_off():
    patches, alpha = torch.tensor([[[200]]], dtype=torch.uint8), torch.tensor([[100]], dtype=torch.uint8)
    assert unpremultiply(patches, alpha).item() == 255
    assert unpremultiply(patches / 255, alpha / 255).item() == 1


@pytest.mark.parametrize("leading", [(2,), (2, 3), (0,), (1, 1, 2)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_leading_dimensions(make_tokens, leading, dtype):
    tokens = make_tokens(2, batch=leading, dtype=dtype)
    patches, alpha = tokens.patches.as_subclass(torch.Tensor), tokens.alpha.as_subclass(torch.Tensor)
    before = patches.clone(), alpha.clone()
    straight = unpremultiply(patches, alpha)
    assert straight.shape == patches.shape
    back = premultiply(straight, alpha)
    assert back.dtype == dtype
    for flat, one, coverage in zip(straight.flatten(0, -4), patches.flatten(0, -4), alpha.flatten(0, -3), strict=True):
        assert torch.equal(flat, unpremultiply(one, coverage))
    assert torch.equal(patches, before[0])
    assert torch.equal(alpha, before[1])
