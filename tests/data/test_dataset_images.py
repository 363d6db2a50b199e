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

from segaug import Grid, Tokenize
from segaug.data import BadImageError, DatasetImages, ImageFolder, TokenDataset, TokenStore, load_tokens


class Pictures:
    """Pictures of random pixels and given targets; the items in ``broken`` cannot be read."""

    def __init__(self, targets, broken=(), size=(9, 7)):
        self.targets, self.broken, self.size = targets, broken, size
        self.reads = 0

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        self.reads += 1
        if index in self.broken:
            raise OSError("half a file")
        pixels = np.random.default_rng(index).integers(0, 256, (*self.size, 3), dtype=np.uint8)
        return PIL.Image.fromarray(pixels), self.targets[index]


CLASSES = ["a", "b", "c"]


def test_images_are_resized_as_those_of_a_folder(tmp_path):
    pictures = Pictures([0, 1, 2, 1])
    for name in CLASSES:
        (tmp_path / name).mkdir()
        pictures[CLASSES.index(name)][0].save(tmp_path / name / "1.png")
    images = DatasetImages(pictures, CLASSES, size=(5, 8), targets=pictures.targets, name="pictures")
    folder = ImageFolder(tmp_path, size=(5, 8))
    for index in range(3):
        image, target = images[index]
        assert type(image) is tv_tensors.Image
        assert (image.shape, image.dtype, target) == ((3, 5, 8), torch.uint8, index)
        assert torch.equal(image, folder[index][0])
    assert len(images) == 4
    assert images.targets == [0, 1, 2, 1]
    assert repr(images) == "DatasetImages('pictures', size=(5, 8), classes=3, images=4)"
    assert torch.equal(pickle.loads(pickle.dumps(images))[2][0], images[2][0])


def test_all_modes_become_rgb_and_exif_turns():
    grey = PIL.Image.new("L", (6, 4), 90)
    turned = PIL.Image.new("RGB", (6, 4), (200, 10, 10))
    turned.getexif()[0x0112] = 6
    data = [(grey, 0), (PIL.Image.new("RGBA", (4, 4)), 0), (turned, 0)]
    images = DatasetImages(data, ["a"], size=4)
    assert images[0][0].unique().tolist() == [90]
    assert images[1][0].shape == (3, 4, 4)
    assert images._pixels(2).shape == (3, 6, 4)


def test_targets_are_read_only_where_they_are_not_given():
    pictures = Pictures([2, 0, 1])
    assert DatasetImages(pictures, CLASSES, targets=torch.tensor([2, 0, 1])).targets == [2, 0, 1]
    assert pictures.reads == 0
    assert DatasetImages(pictures, CLASSES).targets == [2, 0, 1]
    assert pictures.reads == 3


def test_the_key_follows_pixels_and_size_and_not_the_place():
    class Same(Pictures):
        def __getitem__(self, index):
            return super().__getitem__(index % 2)

    images = DatasetImages(Same([0, 1, 0, 1]), CLASSES, size=8)
    assert images.key(0) == images.key(2) != images.key(1)
    assert DatasetImages(Same([0, 1, 0, 1]), CLASSES, size=9).key(0) != images.key(0)
    wide = DatasetImages(Pictures([0, 1], size=(3, 21)), CLASSES, size=(8, 4)).key(0)
    assert wide["pixels"] != images.key(0)["pixels"]
    assert json.loads(json.dumps(wide)) == wide


@settings(derandomize=True, deadline=None, max_examples=30)
@given(
    targets=st.lists(st.integers(0, 2), min_size=1, max_size=30), limit=st.integers(1, 8), seed=st.integers(0, 2**64)
)
def test_a_limit_keeps_so_many_of_each_and_grows(targets, limit, seed):
    def kept(limit):
        images = DatasetImages(
            Pictures(targets), CLASSES, targets=targets, indices=range(len(targets)), limit_per_class=limit, seed=seed
        )
        assert images.targets == [targets[index] for index in images.indices]
        assert images.indices == sorted(set(images.indices))
        return images

    images = kept(limit)
    for target in range(3):
        assert images.targets.count(target) == min(limit, targets.count(target))
    assert set(images.indices) <= set(kept(limit + 1).indices)
    assert kept(limit).indices == images.indices


def test_the_seed_chooses():
    targets = [0] * 40
    one, other = (
        DatasetImages(Pictures(targets), ["a"], targets=targets, limit_per_class=10, seed=seed).indices
        for seed in (0, 1)
    )
    assert one != other


def test_an_item_that_cannot_be_read_is_named_and_skipped(tmp_path):
    images = DatasetImages(Pictures([0, 1, 0], broken=[1]), CLASSES, size=16, targets=[0, 1, 0], name="mine (train)")
    with pytest.raises(BadImageError, match=r"cannot read item 1 of mine \(train\) as an image: half a file"):
        images[1]
    dataset = TokenDataset(images, Grid(2, 2), Tokenize(size=8), TokenStore(tmp_path))
    with pytest.raises(BadImageError, match=r"item 1 of mine"):
        load_tokens(dataset)
    tokens = load_tokens(dataset, skip_bad=True)
    assert tokens.indices == [0, 2]
    again = load_tokens(dataset, skip_bad=True)
    assert (again.counts.found, again.counts.made) == (2, 0)


def test_tokens_of_wide_images():
    images = DatasetImages(Pictures([0, 1]), CLASSES, size=(12, 36))
    tokens, _ = TokenDataset(images, Grid(1, 3), Tokenize(size=4, background=False))[0]
    assert tokens.num_tokens == 3
    assert torch.equal(tokens.boxes[1], torch.tensor([1 / 3, 0, 2 / 3, 1]))
    image = images[0][0].as_subclass(torch.Tensor)
    assert tokens.patches.shape == (3, 3, 4, 4)
    expected = F.resize(image[:, :, 12:24], [4, 4], antialias=True)
    assert (tokens.patches.as_subclass(torch.Tensor)[1].int() - expected.int()).abs().max() <= 1


class TestBadInput:
    def test_targets(self):
        with pytest.raises(ValueError, match=r"targets must be from 0 to 2, got 3 in the dataset"):
            DatasetImages(Pictures([0, 3]), CLASSES)
        with pytest.raises(ValueError, match=r"targets must be an int for each of the 2 items, got \[0\]"):
            DatasetImages(Pictures([0, 1]), CLASSES, targets=[0])
        with pytest.raises(ValueError, match=r"targets must be an int for each of the 2 items, got \[0.5, 1\]"):
            DatasetImages(Pictures([0, 1]), CLASSES, targets=[0.5, 1])

    @pytest.mark.parametrize("target", [0.5, "a", [1, 2], None])
    def test_no_classification(self, target):
        with pytest.raises(ValueError, match="the dataset is no classification data"):
            DatasetImages(Pictures([0, target]), CLASSES)

    def test_no_picture(self):
        images = DatasetImages([(torch.zeros(3, 4, 4), 0)], ["a"], targets=[0])
        with pytest.raises(
            BadImageError, match=r"item 0 of the dataset as an image: it must be a PIL image, got Tensor"
        ):
            images[0]

    def test_unreadable_and_its_class_unknown(self):
        with pytest.raises(
            BadImageError, match=r"cannot read item 1 of the dataset, which alone tells its class: half"
        ):
            DatasetImages(Pictures([0, 1], broken=[1]), CLASSES)

    @pytest.mark.parametrize(
        ("size", "error", "message"),
        [
            (0, ValueError, "size must be at least 1, got 0"),
            ((4, 0), ValueError, "size must be at least 1, got 0"),
            ((4, 4, 4), ValueError, r"size must be an int or \(height, width\), got \(4, 4, 4\)"),
            ("4", TypeError, "size must be an int, got '4'"),
            ((4, 2.5), TypeError, "size must be an int, got 2.5"),
        ],
    )
    def test_size(self, size, error, message):
        with pytest.raises(error, match=message):
            DatasetImages(Pictures([0]), CLASSES, size=size)
