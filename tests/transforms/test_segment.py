import pickle

import numpy as np
import PIL.Image
import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from segaug import Grid, Segment, SegmentedImage, SegmentMap, Tokenize, Voronoi


def plain(tensor):
    return tensor.as_subclass(torch.Tensor)


@pytest.mark.parametrize("kind", [lambda p: p, tv_tensors.Image, F.to_pil_image], ids=["tensor", "image", "pil"])
def test_the_pair_takes_the_place_of_the_image(photo, kind):
    before = photo.clone()
    sample = Segment(Grid(3, 4))(kind(photo))
    assert type(sample) is SegmentedImage
    assert torch.equal(plain(sample.image), photo)
    assert torch.equal(plain(sample.segments), plain(Grid(3, 4)(photo)))
    assert torch.equal(photo, before)


def test_everything_else_passes(photo):
    mask = tv_tensors.Mask(torch.ones(1, 72, 96, dtype=torch.uint8))
    plain_target = torch.tensor([1.0])
    image = tv_tensors.Image(photo)
    pair, target = Segment(Grid(2, 2))(image, {"mask": mask, "label": plain_target, "name": "x"})
    assert type(pair) is SegmentedImage
    assert target["mask"] is mask
    assert target["label"] is plain_target
    assert target["name"] == "x"
    nested = Segment(Grid(2, 2))({"input": {"image": image}, "label": 3})
    assert nested["input"]["image"].segments.num_segments == 4
    assert nested["label"] == 3


def test_among_plain_tensors_the_first_is_the_image(photo):
    pair, other = Segment(Grid(2, 2))(photo, torch.tensor([1.0, 2.0]))
    assert type(pair) is SegmentedImage
    assert other.tolist() == [1.0, 2.0]


def test_any_callable_segments(photo):
    sample = Segment(lambda image: torch.ones(image.shape[-2:], dtype=torch.uint8))(photo)
    assert type(sample.segments) is SegmentMap
    assert sample.segments.dtype == torch.int64


def test_in_a_compose(photo):
    transform = v2.Compose(
        [Segment(Voronoi(9)), v2.RandomHorizontalFlip(1.0), Tokenize(8), v2.ToDtype(torch.float32, True)]
    )
    tokens, target = transform(tv_tensors.Image(photo), 2)
    assert (tokens.num_tokens, tokens.patches.dtype, target) == (10, torch.float32, 2)


def test_pickles_and_names_its_segmenter(photo):
    transform = Segment(Grid(3, 4))
    assert "Grid" in repr(transform)
    twin = pickle.loads(pickle.dumps(transform))
    assert torch.equal(plain(twin(photo).segments), plain(transform(photo).segments))


@pytest.mark.parametrize("segmenter", [None, 5, "slic", torch.zeros(2, 2)])
def test_no_segmenter(segmenter):
    with pytest.raises(TypeError, match="segmenter must be callable, got"):
        Segment(segmenter)


def test_one_segmented_already(photo):
    transform = Segment(Grid(2, 2))
    with pytest.raises(ValueError, match="segmented already"):
        transform(transform(photo))


@pytest.mark.parametrize("count", [0, 2])
def test_other_numbers_of_images(photo, count):
    with pytest.raises(ValueError, match=f"exactly one image, got {count}"):
        Segment(Grid(2, 2))([tv_tensors.Image(photo)] * count, 5)


def test_an_image_and_a_pil_image(photo):
    with pytest.raises(ValueError, match="exactly one image, got 2"):
        Segment(Grid(2, 2))(tv_tensors.Image(photo), PIL.Image.new("RGB", (4, 4)))


@pytest.mark.parametrize("output", [None, np.ones((72, 96), np.int64), [[1]]])
def test_a_segmenter_that_returns_no_map(photo, output):
    with pytest.raises(TypeError, match="segmenter must return a SegmentMap, got"):
        Segment(lambda image: output)(photo)


@pytest.mark.parametrize(
    ("output", "error", "message"),
    [
        (torch.ones(5, 5, dtype=torch.int64), ValueError, "same height and width"),
        (torch.ones(1, 72, 96, dtype=torch.int64), ValueError, "segments must have shape"),
        (torch.ones(72, 96), TypeError, "integer labels"),
        (-torch.ones(72, 96, dtype=torch.int64), ValueError, "at least 0"),
    ],
)
def test_a_segmenter_whose_map_does_not_fit(photo, output, error, message):
    with pytest.raises(error, match=message):
        Segment(lambda image: output)(photo)


@pytest.mark.parametrize("channels", [2, 4])
def test_other_channels(channels):
    with pytest.raises(ValueError, match="with 1 or 3 channels"):
        Segment(lambda image: torch.ones(4, 4, dtype=torch.int64))(torch.zeros(channels, 4, 4))
