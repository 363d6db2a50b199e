import sys

import datasets
import numpy as np
import PIL.Image
import pytest
import torch
from torchvision.transforms.v2 import functional as F

from segaug import Grid, Tokenize
from segaug.data import BadImageError, TokenDataset, load_tokens, open_data

NAMES = ["cat", "dog"]


@pytest.fixture(autouse=True)
def no_progress_bars():
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def pictures(count, seed=0):
    generator = np.random.default_rng(seed)
    return [PIL.Image.fromarray(generator.integers(0, 256, (6, 9, 3), dtype=np.uint8)) for _ in range(count)]


def table(count=6, seed=0, *, targets=None, image="image", label="label", names=NAMES, **more):
    features = datasets.Features(
        {image: datasets.Image(), label: datasets.ClassLabel(names=names), **{k: datasets.Value("int64") for k in more}}
    )
    targets = [i % 2 for i in range(count)] if targets is None else targets
    return datasets.Dataset.from_dict({image: pictures(count, seed), label: targets, **more}, features=features)


@pytest.fixture
def save(tmp_path):
    """``save(train=table(), ...)``: what save_to_disk writes; returns the name."""

    def write(**splits):
        datasets.DatasetDict(splits).save_to_disk(tmp_path / "saved")
        return f"hf:{tmp_path / 'saved'}"

    return write


def test_saved_to_disk(save):
    splits = open_data(save(train=table(8), validation=table(4, 1), test=table(2, 2)), size=(4, 6), limit_per_class=2)
    assert (len(splits.train), len(splits.val), splits.train.classes, splits.has_segments) == (4, 4, NAMES, False)
    image, target = splits.val[1]
    assert target == 1
    assert torch.equal(image, F.resize(F.pil_to_tensor(pictures(2, 1)[1]), [4, 6], antialias=True))
    assert splits.train.name.endswith("saved (train)")


def test_other_splits(save):
    name = save(a=table(6), test=table(2), b=table(4, 1))
    assert len(open_data(name, train_split="a").val) == 2
    assert len(open_data(name, train_split="b", val_split="a").train) == 4
    with pytest.raises(ValueError, match=r"has the splits a, test, b, none named train; name yours"):
        open_data(name)
    with pytest.raises(ValueError, match=r"val_split must be a split of hf:.*saved \(a, test, b\), got 'c'"):
        open_data(name, train_split="a", val_split="c")


def test_a_single_dataset_is_split(tmp_path):
    table(20).save_to_disk(tmp_path / "one")
    splits = open_data(f"hf:{tmp_path / 'one'}", size=8)
    assert (sorted(splits.train.targets), sorted(splits.val.targets)) == ([0] * 8 + [1] * 8, [0, 0, 1, 1])
    assert load_tokens(TokenDataset(splits.val, Grid(2, 2), Tokenize(size=4))).targets == splits.val.targets


def test_a_folder_of_images(make_folder, tmp_path):
    folder = make_folder(images=3)
    splits = open_data(f"hf:{folder}", size=12, root=tmp_path / "cache")
    own = open_data(folder, size=12)
    assert splits.train.classes == own.train.classes
    assert (len(splits.train), len(splits.val)) == (6, 6)
    mine = {splits.train[i][0].numpy().tobytes() for i in range(6)}
    assert mine == {own.train[i][0].numpy().tobytes() for i in range(6)}


def test_parquet(tmp_path):
    folder = tmp_path / "a, b"
    folder.mkdir()
    table(6).to_parquet(folder / "train-00000-of-00001.parquet")
    table(4, 1).to_parquet(folder / "test-00000-of-00001.parquet")
    splits = open_data(f"hf:{folder}", root=tmp_path / "cache")
    assert (len(splits.train), len(splits.val), splits.train.classes) == (6, 4, NAMES)


def test_columns_by_name(save):
    features = datasets.Features(
        {
            "photo": datasets.Image(),
            "mask": datasets.Image(),
            "fine": datasets.ClassLabel(names=["a", "b", "c"]),
            "coarse": datasets.ClassLabel(names=NAMES),
            "text": datasets.Value("string"),
            "number": datasets.Value("int64"),
        }
    )
    data = datasets.Dataset.from_dict(
        {
            "photo": pictures(6), "mask": pictures(6, 1), "fine": [0, 1, 2] * 2, "coarse": [0, 1] * 3,
            "text": ["y", "x"] * 3, "number": [5, 9] * 3,
        },
        features=features,
    )  # fmt: skip
    name = save(train=data, test=data)
    with pytest.raises(ValueError, match=r"must have one column of pictures \(Image\), got 2 among photo \(Image\)"):
        open_data(name)
    with pytest.raises(ValueError, match=r"of classes \(ClassLabel\), got 2 .* name yours as in hf:.*,label=COLUMN"):
        open_data(f"{name},image=photo")
    for label, classes in (("fine", ["a", "b", "c"]), ("coarse", NAMES), ("text", ["x", "y"]), ("number", ["5", "9"])):
        splits = open_data(f"{name},image=photo,label={label}")
        assert splits.train.classes == classes
    assert open_data(f"{name},image=photo,label=text").train.targets == [1, 0] * 3
    with pytest.raises(ValueError, match=r"image must be a column of type Image, got text \(Value\)"):
        open_data(f"{name},image=text,label=fine")
    with pytest.raises(ValueError, match=r"label must be a column of hf:.* \(photo, .*\), got 'none'"):
        open_data(f"{name},image=photo,label=none")
    with pytest.raises(TypeError, match=r"has the options image, label, got 'column'"):
        open_data(f"{name},column=photo")


def test_an_image_that_cannot_be_read_is_named_and_skipped(tmp_path):
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)})
    broken = datasets.Dataset.from_dict(
        {"image": [{"bytes": b"no image", "path": None}, None, *pictures(4)], "label": [0, 1] * 3}, features=features
    )
    datasets.DatasetDict(train=broken, test=table()).save_to_disk(tmp_path / "saved")
    splits = open_data(f"hf:{tmp_path / 'saved'}", size=8)
    for index, message in ((0, "not in a format"), (1, "it must be a PIL image, got None")):
        with pytest.raises(BadImageError, match=rf"item {index} of hf:.*saved \(train\) as an image: {message}"):
            splits.train[index]
    tokens = load_tokens(TokenDataset(splits.train, Grid(2, 2), Tokenize(size=4)), skip_bad=True)
    assert tokens.indices == [2, 3, 4, 5]


class TestBadInput:
    def test_no_such_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere, and .* is no dataset's name"):
            open_data(f"hf:{tmp_path / 'nowhere'}")

    def test_a_name_on_the_hub_without_download(self):
        with pytest.raises(FileNotFoundError, match=r"no folder someone/things; .* get it with --download"):
            open_data("hf:someone/things:plain")

    def test_a_file(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(ValueError, match=r"must be a folder or a dataset's name .*, got a file"):
            open_data(f"hf:{tmp_path / 'file'}")

    def test_a_folder_of_something_else(self, tmp_path):
        (tmp_path / "empty").mkdir()
        with pytest.raises(FileNotFoundError, match="empty"):
            open_data(f"hf:{tmp_path / 'empty'}", root=tmp_path / "cache")

    def test_no_labels(self, save):
        with pytest.raises(
            ValueError, match=r"\(test\) must have a class for every item, 6 of 6 have none; take another"
        ):
            open_data(save(train=table(), test=table(targets=[-1] * 6)))

    def test_a_class_missing(self, save):
        with pytest.raises(ValueError, match=r"none in hf:.*saved \(test\): \['dog'\]"):
            open_data(save(train=table(), test=table(targets=[0] * 6)))

    def test_other_columns_or_classes_in_val(self, save):
        name = save(train=table(), test=table(image="photo"))
        with pytest.raises(ValueError, match=r"\(test\) must have the column image, got photo, label"):
            open_data(name)

    def test_other_classes_in_val(self, save):
        with pytest.raises(
            ValueError, match=r"the same classes in the same order; only in train: \['dog'\], only in val"
        ):
            open_data(save(train=table(), test=table(names=["cat", "cow"])))

    def test_the_extra_is_missing(self, monkeypatch, tmp_path):
        monkeypatch.setitem(sys.modules, "datasets", None)
        with pytest.raises(ImportError, match=r"pip install 'segaug\[datasets\]'"):
            open_data(f"hf:{tmp_path}")
