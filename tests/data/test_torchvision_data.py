import sys

import numpy as np
import PIL.Image
import pytest
import torchvision.datasets

from segaug import Grid, Tokenize
from segaug.data import BadImageError, TokenDataset, load_tokens, open_data
from segaug.data._torchvision_data import _parameters, _targets

FAKE = "torchvision:FakeData,size=40,image_size=(3,6,9),num_classes=3"


@pytest.fixture
def mnist(tmp_path):
    """MNIST's files with a few digits: big-endian headers, then bytes."""
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for part, count in (("train", 30), ("t10k", 20)):
        images = generator.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 10
        for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            header = np.array([0x800 + array.ndim, *array.shape], dtype=">i4").tobytes()
            (folder / name).write_bytes(header + array.tobytes())
    return tmp_path


def save_pictures(folder, classes, count):
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i in range(count):
            PIL.Image.new("RGB", (8 + i, 6), (20 * i, 99, len(name))).save(folder / name / f"{i}.jpg")


@pytest.fixture
def country(tmp_path):
    """Country211's folders with two countries."""
    for split, count in (("train", 4), ("valid", 3), ("test", 2)):
        save_pictures(tmp_path / "country211" / split, ("AD", "ZW"), count)
    return tmp_path


def test_train_true_and_false(mnist):
    splits = open_data("torchvision:MNIST", root=mnist, size=16)
    assert (len(splits.train), len(splits.val), splits.has_segments) == (30, 20, False)
    assert splits.train.classes[:2] == ["0 - zero", "1 - one"]
    own = torchvision.datasets.MNIST(mnist)
    assert splits.train.targets == own.targets.tolist()
    image, target = splits.train[3]
    assert (image.shape, target) == ((3, 16, 16), 3)
    assert splits.train.name == "torchvision:MNIST (train=True)"
    limited = open_data("torchvision:MNIST", root=mnist, limit_per_class=1, seed=4)
    assert (len(limited.train), len(limited.val)) == (10, 20)


def test_split_names(country):
    splits = open_data("torchvision:Country211", root=country, size=(4, 6))
    assert (len(splits.train), len(splits.val), splits.train.size) == (8, 6, (4, 6))
    assert splits.val.name == "torchvision:Country211 (split=valid)"
    assert splits.train.classes == ["AD", "ZW"]
    chosen = open_data("torchvision:Country211", root=country, val_split="test")
    assert len(chosen.val) == 4


def test_without_splits_a_fifth_of_each_class_is_held_out(tmp_path):
    save_pictures(tmp_path / "eurosat" / "2750", ("Forest", "Lake"), 10)
    splits = [open_data("torchvision:EuroSAT", root=tmp_path, seed=seed, limit_per_class=3) for seed in (0, 1)]
    for each in splits:
        assert sorted(each.train.targets) == [0] * 3 + [1] * 3
        assert sorted(each.val.targets) == [0, 0, 1, 1]
        assert not set(each.train.indices) & set(each.val.indices)
    assert splits[0].val.indices == splits[1].val.indices
    assert splits[0].train.indices != splits[1].train.indices
    whole = open_data("torchvision:EuroSAT", root=tmp_path)
    assert sorted(whole.train.indices + whole.val.indices) == list(range(20))


def test_fake_data_whose_targets_only_the_items_know():
    splits = open_data(FAKE, size=8)
    data = torchvision.datasets.FakeData(40, (3, 6, 9), 3)
    assert splits.train.classes == ["0", "1", "2"]
    for images in (splits.train, splits.val):
        assert images.targets == [data[index][1] for index in images.indices]
    assert splits.train.key(0) != splits.train.key(1)
    tokens = load_tokens(TokenDataset(splits.val, Grid(2, 2), Tokenize(size=4)))
    assert len(tokens) == len(splits.val)


@pytest.mark.parametrize("kind", ["targets", "labels", "_labels", "y", "_samples"])
def test_known_targets_are_taken_from_the_dataset(kind):
    class Some:
        reads = 0

        def __len__(self):
            return 3

        def __getitem__(self, index):
            self.reads += 1
            return PIL.Image.new("RGB", (2, 2)), [2, 0, 1][index]

    data = Some()
    values = [("a", 2), ("b", 0), ("c", 1)] if kind == "_samples" else np.array([2, 0, 1])
    setattr(data, kind, values)
    assert _targets(data, "some") == [2, 0, 1]
    assert data.reads == 1
    # What is not what items say is not believed.
    setattr(data, kind, [("a", 7), ("b", 0), ("c", 1)] if kind == "_samples" else [7, 0, 1])
    assert _targets(data, "some") == [2, 0, 1]


def test_an_image_that_cannot_be_read_is_named_and_skipped(country):
    (country / "country211" / "train" / "AD" / "0.jpg").write_bytes(b"no image")
    splits = open_data("torchvision:Country211", root=country, size=8)
    with pytest.raises(BadImageError, match=r"item 0 of torchvision:Country211 \(split=train\) as an image: not in a"):
        splits.train[0]
    tokens = load_tokens(TokenDataset(splits.train, Grid(2, 2), Tokenize(size=4)), skip_bad=True)
    assert len(tokens) == 7


def test_parameters_that_go_to_a_base_class_are_found():
    parameters = _parameters(torchvision.datasets.EMNIST)
    assert {"root", "split", "train", "download"} <= set(parameters)
    assert "train" not in _parameters(torchvision.datasets.FakeData)


class TestBadInput:
    def test_unknown(self):
        with pytest.raises(ValueError, match=r"got 'cifar-10'; did you mean CIFAR10"):
            open_data("torchvision:cifar-10")
        with pytest.raises(ValueError, match=r"must name a class of torchvision.datasets, got 'zzzzzz'$"):
            open_data("torchvision:zzzzzz")
        with pytest.raises(ValueError, match=r"got 'VisionDataset'"):
            open_data("torchvision:VisionDataset")

    @pytest.mark.parametrize("name", ["CIFAR10", "Flowers102", "Food101", "SVHN", "DTD", "MNIST", "GTSRB"])
    def test_not_downloaded(self, name, tmp_path):
        with pytest.raises(FileNotFoundError, match=rf"torchvision:{name} is not in .*; download it with --download"):
            open_data(f"torchvision:{name}", root=tmp_path)

    def test_nothing_is_downloaded_without_being_told_to(self, tmp_path):
        # SEMEION downloads by default; then the reason would be the network.
        with pytest.raises(FileNotFoundError, match=r"SEMEION is not in .*\(Dataset not found"):
            open_data("torchvision:SEMEION", root=tmp_path)
        assert not list(tmp_path.iterdir())

    def test_a_download_that_fails(self, tmp_path, monkeypatch):
        monkeypatch.setattr(torchvision.datasets.Country211, "_URL", (tmp_path / "no.tgz").as_uri())
        with pytest.raises(OSError, match=r"cannot download torchvision:Country211 to .*data: .*No such file"):
            open_data("torchvision:Country211", root=tmp_path / "data", download=True)

    def test_a_package_that_is_missing(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "h5py", None)
        with pytest.raises(ImportError, match=r"torchvision:PCAM needs a package: h5py is not found"):
            open_data("torchvision:PCAM", root=tmp_path)

    @pytest.mark.parametrize("name", ["ImageNet", "FER2013"])
    def test_not_there_and_not_to_be_downloaded(self, name, tmp_path):
        with pytest.raises(FileNotFoundError, match=rf"{name} is not in .*; torchvision cannot download it"):
            open_data(f"torchvision:{name}", root=tmp_path, download=True)

    def test_no_classification(self, tmp_path):
        folder = tmp_path / "VOCdevkit" / "VOC2012"
        for name in ("ImageSets/Main", "JPEGImages", "Annotations"):
            (folder / name).mkdir(parents=True)
        for split in ("train", "val"):
            (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("1\n")
        PIL.Image.new("RGB", (4, 4)).save(folder / "JPEGImages" / "1.jpg")
        (folder / "Annotations" / "1.xml").write_text("<annotation></annotation>")
        with pytest.raises(ValueError, match=r"VOCDetection \(image_set=train\) is no classification.*\(Image, dict\)"):
            open_data("torchvision:VOCDetection", root=tmp_path)

    def test_options(self, tmp_path):
        with pytest.raises(TypeError, match=r"torchvision:FakeData has the options size, .*, got 'sizes'"):
            open_data("torchvision:FakeData,sizes=3")
        with pytest.raises(TypeError, match=r"EMNIST needs split, as in torchvision:EMNIST,split=\.\.\."):
            open_data("torchvision:EMNIST", root=tmp_path)

    def test_split_names(self, country, mnist):
        with pytest.raises(
            ValueError, match=r"Country211 has no split 'all'; name yours with train_split and val_split"
        ):
            open_data("torchvision:Country211", root=country, train_split="all")
        with pytest.raises(ValueError, match=r"MNIST has the splits train=True and train=False, .* val_split='test'"):
            open_data("torchvision:MNIST", root=mnist, val_split="test")
        with pytest.raises(ValueError, match=r"FakeData has no splits to name, got train_split='train'"):
            open_data("torchvision:FakeData", train_split="train")

    def test_a_class_in_one_split_alone(self, mnist):
        labels = mnist / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
        labels.write_bytes(labels.read_bytes()[:8] + bytes([0, 1, 2, 3, 4] * 4))
        with pytest.raises(ValueError, match=r"none in torchvision:MNIST \(train=False\): \['5 - five', '6 - six'"):
            open_data("torchvision:MNIST", root=mnist)

    def test_other_classes_in_val(self, country):
        (country / "country211" / "valid" / "ZW").rename(country / "country211" / "valid" / "ZM")
        with pytest.raises(ValueError, match=r"same classes .* only in train: \['ZW'\], only in val: \['ZM'\]"):
            open_data("torchvision:Country211", root=country)

    def test_one_class(self):
        with pytest.raises(ValueError, match=r"FakeData must hold at least two classes, got \['0'\]"):
            open_data("torchvision:FakeData,size=6,image_size=(3,4,4),num_classes=1")
