"""Callables on tensors, PIL images and arrays."""

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import torch
from torchvision.transforms import v2

from segaug import PerSegment


def plain(tensor):
    return tensor.as_subclass(torch.Tensor)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("name", "invert"),
    [("tensor", lambda x: 255 - x), ("numpy", lambda x: 255 - x), ("pil", PIL.ImageOps.invert)],
)
def test_colours_in_each_form(make_tokens, channels, name, invert):
    tokens = make_tokens(4, channels=channels)
    expected = PerSegment(v2.RandomInvert(1.0))(tokens)
    out = PerSegment(invert, input=name)(tokens)
    assert torch.equal(plain(out.patches), plain(expected.patches))
    assert torch.equal(plain(out.alpha), plain(tokens.alpha))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("name", "flip"),
    [("tensor", lambda x: x.flip(-1)), ("numpy", np.fliplr), ("pil", PIL.ImageOps.mirror)],
)
def test_geometry_in_each_form(make_tokens, channels, name, flip):
    tokens = make_tokens(4, channels=channels)
    out = PerSegment(flip, input=name, geometry=True)(tokens)
    assert torch.equal(plain(out.patches), plain(tokens.patches).flip(-1))
    assert torch.equal(plain(out.alpha), plain(tokens.alpha).flip(-1))


def test_what_a_callable_sees(make_tokens):
    seen = {}

    def note(name):
        return lambda pixels: seen.setdefault(name, pixels)

    tokens, grey = make_tokens(1, background=False), make_tokens(1, background=False, channels=1)
    PerSegment(note("array"), input="numpy")(tokens)
    PerSegment(note("packed"), input="numpy", geometry=True)(tokens)
    PerSegment(note("float"), input="numpy")(make_tokens(1, background=False, dtype=torch.float32))
    for name, source in (("RGB", tokens), ("L", grey)):
        PerSegment(note(name), input="pil")(source)
        PerSegment(note(f"{name}A"), input="pil", geometry=True)(source)
    assert (seen["array"].shape, seen["array"].dtype) == ((6, 6, 3), np.uint8)
    assert seen["packed"].shape == (6, 6, 4)
    assert seen["float"].dtype == np.float32
    assert [seen[name].mode for name in ("RGB", "RGBA", "L", "LA")] == ["RGB", "RGBA", "L", "LA"]


def test_a_grey_array_may_come_back_without_its_channel(make_tokens):
    tokens = make_tokens(2, channels=1)
    assert torch.equal(plain(PerSegment(lambda x: x[..., 0], input="numpy")(tokens).patches), plain(tokens.patches))


def test_a_size_may_change_with_geometry(make_tokens):
    out = PerSegment(lambda image: image.resize((4, 3)), input="pil", geometry=True)(make_tokens(3))
    assert out.patches.shape == (4, 3, 3, 4)


@pytest.mark.parametrize("name", ["tensor", "numpy", "pil"])
def test_the_input_stays_when_the_callable_writes_into_it(make_tokens, name):
    tokens = make_tokens(3)
    before = plain(tokens.patches).clone()

    def spoil(pixels):
        if isinstance(pixels, PIL.Image.Image):
            pixels.paste(0, (0, 0, *pixels.size))
        else:
            pixels[...] = 0
        return pixels

    assert bool((PerSegment(spoil, input=name)(tokens).patches == 0).all())
    assert torch.equal(plain(tokens.patches), before)


@pytest.mark.parametrize(
    ("name", "transform", "error", "message"),
    [
        ("pil", np.asarray, TypeError, "must return a PIL image"),
        ("numpy", torch.from_numpy, TypeError, "must return an array"),
        ("numpy", lambda x: x.astype(np.float32), TypeError, "must keep the dtype"),
        ("numpy", lambda x: x[..., :1], ValueError, "must return shape"),
        ("pil", lambda image: image.convert("L"), ValueError, "must return shape"),
        ("pil", lambda image: image.resize((3, 3)), ValueError, "geometry=True"),
    ],
)
def test_wrong_results_name_the_segment(make_tokens, name, transform, error, message):
    with pytest.raises(error, match=message) as caught:
        PerSegment(transform, input=name)(make_tokens(2))
    assert "label 1" in caught.value.__notes__[0]


def test_wrong_options(make_tokens):
    with pytest.raises(ValueError, match="input must be"):
        PerSegment(abs, input="jpeg")
    with pytest.raises(TypeError, match="geometry must be True or False, got 1"):
        PerSegment(abs, geometry=1)
    with pytest.raises(TypeError, match="patches must be uint8"):
        PerSegment(PIL.ImageOps.invert, input="pil")(make_tokens(2, dtype=torch.float32))
    with pytest.raises(ValueError, match="input and geometry are for plain callables"):
        PerSegment(v2.Compose([v2.RandomInvert()]), geometry=True)
    PerSegment(v2.Compose([v2.RandomInvert(), v2.Lambda(torch.clone)]), geometry=True)
