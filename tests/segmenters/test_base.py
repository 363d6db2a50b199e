import json
import pickle

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from segaug.segmenters import Grid, Segmenter
from segaug.segmenters._base import as_rgb_array, consecutive, tidy_number
from segaug.structures import SegmentMap


class Values(Segmenter):
    """Labels a pixel by its first channel: what comes out is what was read."""

    def __init__(self, plus=0):
        super().__init__(plus=plus)
        self.plus = plus

    def segment(self, image):
        assert image.is_contiguous()
        assert image.dtype == torch.uint8
        return image[0].long() + self.plus


class TestInput:
    def test_every_kind_of_image_gives_the_same_pixels(self, photo):
        expected = photo[0].long()
        array = photo.permute(1, 2, 0).numpy()
        images = [
            photo,
            tv_tensors.Image(photo),
            PIL.Image.fromarray(array),
            photo.float() / 255,
            photo.double() / 255,
            (photo.float() / 255).requires_grad_(),
            torch.from_numpy(array).permute(2, 0, 1),
            photo[:1],
        ]
        for image in images:
            labels = Values()(image)
            assert type(labels) is SegmentMap
            assert labels.dtype == torch.int64
            assert not labels.requires_grad
            assert torch.equal(labels.as_subclass(torch.Tensor), expected)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_extremes(self, dtype):
        image = torch.tensor([[[0.0, 1.0, 0.5]]], dtype=dtype)
        assert Values()(image).tolist() == [[0, 255, 128]]

    def test_grey_pil(self, grey):
        assert torch.equal(Values()(F.to_pil_image(grey)).as_subclass(torch.Tensor), grey[0].long())

    @pytest.mark.parametrize("mode", ["1", "P", "CMYK", "LA", "RGBA", "YCbCr", "I", "F"])
    def test_other_pil_modes(self, mode):
        with pytest.raises(ValueError, match=rf'mode {mode}; use image\.convert\("RGB"\)'):
            Values()(PIL.Image.new(mode, (4, 5)))

    @pytest.mark.parametrize("channels", [0, 2, 4, 5])
    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
    def test_other_channels(self, channels, dtype):
        with pytest.raises(ValueError, match=r"image must have 1 \(grey\) or 3 \(RGB\) channels, got .*shape"):
            Values()(torch.zeros(channels, 4, 5, dtype=dtype))

    @pytest.mark.parametrize("shape", [(4, 5), (1, 3, 4, 5), (5,), ()])
    def test_other_shapes(self, shape):
        with pytest.raises(ValueError, match=r"image must have shape \(C, H, W\)"):
            Values()(torch.zeros(shape, dtype=torch.uint8))

    @pytest.mark.parametrize("shape", [(3, 0, 5), (1, 4, 0)])
    def test_no_pixels(self, shape):
        with pytest.raises(ValueError, match="at least one pixel"):
            Values()(torch.zeros(shape, dtype=torch.uint8))

    @pytest.mark.parametrize("value", [float("nan"), -0.01, 1.01, 255.0, float("inf")])
    def test_floats_outside_the_unit_range(self, value):
        image = torch.full((3, 4, 5), 0.5)
        image[1, 2, 3] = value
        with pytest.raises(ValueError, match=r"image must hold floats in \[0, 1\]"):
            Values()(image)

    @pytest.mark.parametrize("dtype", [torch.int64, torch.int8, torch.bool, torch.complex64, torch.uint16])
    def test_other_dtypes(self, dtype):
        with pytest.raises(TypeError, match="image must be uint8"):
            Values()(torch.zeros(3, 4, 5, dtype=dtype))

    @pytest.mark.parametrize(
        "image",
        [
            None,
            "photo.jpg",
            np.zeros((4, 5, 3), np.uint8),
            [[0]],
            SegmentMap([[1, 2]]),
            tv_tensors.Mask(torch.zeros(1, 4, 5, dtype=torch.uint8)),
            tv_tensors.Video(torch.zeros(1, 3, 4, 5, dtype=torch.uint8)),
        ],
    )
    def test_what_is_no_image(self, image):
        with pytest.raises(TypeError, match="image must be a tensor"):
            Values()(image)


class TestSubclass:
    def test_options_repr_and_fingerprint(self):
        segmenter = Values(plus=3)
        assert repr(segmenter) == "Values(plus=3)"
        assert segmenter.options == {"plus": 3}
        fingerprint = segmenter.fingerprint
        code = fingerprint.pop("code")
        assert fingerprint == {"segmenter": "Values", "options": {"plus": 3}, "versions": {}}
        assert code == Values(plus=4).fingerprint["code"]
        assert "code" not in Grid(2, 2).fingerprint
        segmenter.options["plus"] = 4
        assert segmenter.options == {"plus": 3}
        json.dumps(segmenter.fingerprint)

    def test_classes_of_one_name_are_told_apart(self):
        def make(value):
            class Mine(Values):
                def segment(self, image):
                    return torch.full(image.shape[-2:], value)

            return Mine()

        assert make(1).fingerprint == make(1).fingerprint
        assert make(1).fingerprint != make(2).fingerprint

    def test_wrong_shape_from_segment(self, photo):
        class Wrong(Values):
            def segment(self, image):
                return image.long()

        with pytest.raises(ValueError, match=r"Wrong\.segment must return labels of shape \(48, 64\), got"):
            Wrong()(photo)

    def test_wrong_labels_from_segment(self, photo):
        with pytest.raises(ValueError, match="labels must be at least 0"):
            Values(plus=-1000)(photo)

    def test_it_cannot_be_made_without_segment(self):
        with pytest.raises(TypeError, match="abstract"):
            Segmenter()


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.integers(-3, 40), min_size=1, max_size=30))
def test_consecutive_keeps_the_partition_and_the_order(values):
    labels = consecutive(np.array([values], np.int32))
    assert labels.dtype == torch.int64
    assert labels.tolist() == [[sorted(set(values)).index(v) + 1 for v in values]]


def test_rgb_array_repeats_grey(photo, grey):
    array = as_rgb_array(grey)
    assert array.shape == (48, 64, 3)
    assert array.flags.c_contiguous
    assert (array == grey[0].numpy()[..., None]).all()
    assert np.array_equal(as_rgb_array(photo), photo.permute(1, 2, 0).numpy())


def test_tidy_number():
    assert repr(tidy_number(60.0)) == "60"
    assert repr(tidy_number(0.8)) == "0.8"


def test_pickled_copies_are_equal(photo):
    from segaug.segmenters import Grid

    copy = pickle.loads(pickle.dumps(Grid(2, 3)))
    assert repr(copy) == "Grid(rows=2, cols=3)"
    assert torch.equal(copy(photo), Grid(2, 3)(photo))


def test_segmenters_look_at_pixels_unless_they_say_otherwise():
    assert Segmenter.depends_on_pixels is True
