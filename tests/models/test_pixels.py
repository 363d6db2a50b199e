import dataclasses
import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close
from torchvision.transforms import v2

from segaug import Grid, PerSegment, Segment, Tokenize
from segaug.models import SViT, svit_tiny

SMALL = {"patch_size": 4, "embed_dim": 16, "depth": 1, "num_heads": 2}


def make_model(**options):
    torch.manual_seed(0)
    return SViT(5, **{**SMALL, **options}).eval()


def make_tokens():
    torch.manual_seed(1)
    return Tokenize(size=4, background=False)(Segment(Grid(2, 2))(torch.rand(3, 16, 16)))


def test_a_model_that_was_made_without_memory_is_the_same():
    expected, tokens = make_model(), make_tokens()
    with torch.device("meta"):
        first, second = (SViT(5, **SMALL).eval() for _ in range(2))
    first.to_empty(device="cpu").load_state_dict(expected.state_dict())
    second.load_state_dict(expected.state_dict(), assign=True)
    for model in (first, second):
        assert_close(model(tokens), expected(tokens), atol=0, rtol=0)


def test_there_is_nothing_to_send_to_other_processes():
    assert not list(make_model(alpha_channel=True).buffers())


def test_normalising_each_segment_beforehand_is_the_same():
    mean, std = [0.5, 0.4, 0.3], [0.25, 0.2, 0.1]
    tokens = make_tokens()
    normalized = PerSegment(v2.Normalize(mean, std))(tokens)
    expected = make_model(pixel_mean=mean, pixel_std=std)(tokens)
    assert_close(make_model(pixel_mean=0.0, pixel_std=1.0)(normalized), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("value", [(0.5, 0.5, 0.5), [0.5], np.float32(0.5), np.full(3, 0.5), torch.full((3,), 0.5)])
def test_equal_numbers_are_one(value):
    assert make_model(pixel_mean=value).pixel_mean == (0.5,)


def test_noise_passes_and_what_was_normalised_does_not():
    model = make_model()
    tokens = make_tokens()
    model(dataclasses.replace(tokens, patches=tokens.patches * 2.5 - 0.7))
    wide = dataclasses.replace(tokens, patches=tokens.patches * 255)
    with pytest.raises(
        ValueError, match=r"got values from .* to 1\d\d.*; convert with v2\.ToDtype\(\.\.\., scale=True\)"
    ):
        model(wide)


def test_gradients_reach_the_pixels():
    tokens = make_tokens()
    tokens.patches.requires_grad_()
    make_model(alpha_channel=True)(tokens).sum().backward()
    assert (tokens.patches.grad != 0).all()


def test_half_precision_takes_uint8():
    image = (torch.rand(3, 16, 16) * 255).to(torch.uint8)
    tokens = Tokenize(size=4, background=False)(Segment(Grid(2, 2))(image))
    model = make_model(alpha_channel=True)
    assert_close(model.bfloat16()(tokens).float(), make_model(alpha_channel=True)(tokens), atol=0.05, rtol=0)


@pytest.mark.parametrize("value", ["0.5", None, True, ("a", "b", "c")])
def test_wrong_types_are_named(value):
    with pytest.raises(TypeError, match="pixel_std must be a number, or one for each channel, got"):
        make_model(pixel_std=value)


@pytest.mark.parametrize(
    ("value", "message"), [(math.nan, "finite, got nan"), ((), "one number, or one"), (-1, "above 0")]
)
def test_wrong_values_are_named(value, message):
    with pytest.raises(ValueError, match=f"pixel_std must be {message}"):
        svit_tiny(5, pixel_std=value)
