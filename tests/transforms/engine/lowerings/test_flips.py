"""Flips."""

import pytest
import torch
from torchvision.transforms import v2


@pytest.mark.parametrize("kind", [v2.RandomHorizontalFlip, v2.RandomVerticalFlip])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=["uint8", "float32"])
@pytest.mark.parametrize("channels", [1, 3])
def test_equals_the_loop(check_equals_loop, kind, dtype, channels):
    check_equals_loop(kind(0.5), dtype=dtype, channels=channels, atol=0)


@pytest.mark.parametrize("kind", [v2.RandomHorizontalFlip, v2.RandomVerticalFlip])
def test_draws(draw_ours, check_same_distribution, kind):
    torch.manual_seed(1)
    check_same_distribution(draw_ours(kind(0.3))["gate"], torch.rand(5000) < 0.3)
