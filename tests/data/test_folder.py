import shutil

import numpy as np
import PIL.Image
import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from segaug.data import BadImageError, ImageFolder, images_for_classes, train_val_folders


def test_images_classes_and_targets(make_folder):
    images = ImageFolder(make_folder(("dog", "cat"), images=2) / "train", size=16)
    assert images.classes == ["cat", "dog"]
    assert [(path.parent.name, path.name) for path in images.paths] == [
        ("cat", "0.png"), ("cat", "1.png"), ("dog", "0.png"), ("dog", "1.png"),
    ]  # fmt: skip
    assert images.targets == [0, 0, 1, 1]
    image, target = images[3]
    assert isinstance(image, tv_tensors.Image)
    assert (image.shape, image.dtype, target) == ((3, 16, 16), torch.uint8, 1)
    read = F.pil_to_tensor(PIL.Image.open(images.paths[3]))
    assert torch.equal(image.as_subclass(torch.Tensor), F.resize(read, [16, 16], antialias=True))


def test_images_of_all_modes_and_suffixes_are_read_at_any_depth(make_folder):
    folder = make_folder(images=1) / "train"
    (folder / "cat" / "more").mkdir()
    for mode, name in (("L", "grey.JPG"), ("P", "palette.png"), ("RGBA", "more/alpha.png"), ("CMYK", "print.jpeg")):
        PIL.Image.new(mode, (9, 5)).save(folder / "cat" / name)
    (folder / "cat" / "notes.txt").write_text("no image")
    (folder / "cat" / ".hidden.png").write_text("no image")
    (folder / ".cache").mkdir()
    images = ImageFolder(folder, size=8)
    assert images.targets == [0] * 5 + [1]
    assert all(image.shape == (3, 8, 8) for image, _ in (images[i] for i in range(len(images))))


def test_links_are_followed_and_not_in_circles(make_folder, tmp_path):
    folder = make_folder(images=1) / "train"
    before = len(ImageFolder(folder).paths)
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(ImageFolder(folder).paths[0], tmp_path / "elsewhere" / "x.png")
    (folder / "cat" / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (folder / "cat" / "circle").symlink_to(folder / "cat", target_is_directory=True)
    assert len(ImageFolder(folder).paths) == before + 1


def test_hidden_folders_are_left_out_at_any_depth(make_folder):
    folder = make_folder(images=1) / "train"
    before = ImageFolder(folder).paths
    for hidden in (".ipynb_checkpoints", "more/.thumbnails/small"):
        (folder / "cat" / hidden).mkdir(parents=True)
        shutil.copy(before[0], folder / "cat" / hidden / "x.png")
    assert ImageFolder(folder).paths == before
    # A hidden folder above them is no matter.
    shutil.move(folder, folder.parent / ".train")
    assert len(ImageFolder(folder.parent / ".train")) == len(before)


class TestUnsorted:
    def test_all_images_are_of_one_class_whatever_folders_there_are(self, make_folder, monkeypatch):
        folder = make_folder(("cat", "dog"), images=2) / "train"
        (folder / "0.png").write_bytes((folder / "cat" / "0.png").read_bytes())
        images = ImageFolder(folder, size=8, unsorted=True)
        assert (images.classes, images.targets) == (["train"], [0] * 5)
        assert images[0][0].shape == (3, 8, 8)
        assert len(ImageFolder(folder, limit_per_class=3, unsorted=True)) == 3
        # Siblings, as the folders of other classes, do not matter.
        cats = ImageFolder(folder / "cat", unsorted=True)
        assert cats.paths == [folder / "cat" / "0.png", folder / "cat" / "1.png"]
        monkeypatch.chdir(folder / "cat")
        assert ImageFolder(".", unsorted=True).classes == ["cat"]

    def test_bad_arguments(self, make_folder, tmp_path):
        with pytest.raises(ValueError, match=r"classes must be None for unsorted images, got \['cat'\]"):
            ImageFolder(make_folder(), classes=["cat"], unsorted=True)
        with pytest.raises(TypeError, match="unsorted must be True or False, got 1"):
            ImageFolder(tmp_path, unsorted=1)
        with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere; expected .*nowhere/\*\.jpg"):
            ImageFolder(tmp_path / "nowhere", unsorted=True)
        (tmp_path / "empty").mkdir()
        with pytest.raises(ValueError, match=r"the folder must hold at least one image .*, there is none in .*empty"):
            ImageFolder(tmp_path / "empty", unsorted=True)


def test_the_key_follows_content_and_size_and_not_the_name(make_folder):
    folder = make_folder(images=2)
    images = ImageFolder(folder / "train", size=16)
    assert images.key(0) != images.key(1)
    assert images.key(0) != ImageFolder(folder / "train", size=17).key(0)
    shutil.copy(images.paths[0], images.paths[1])
    assert images.key(0) == images.key(1)


def test_height_and_width(make_folder):
    folder = make_folder(images=1) / "train"
    images = ImageFolder(folder, size=(100, 400))
    assert images.size == (100, 400)
    read = F.pil_to_tensor(PIL.Image.open(images.paths[0]))
    assert torch.equal(images[0][0].as_subclass(torch.Tensor), F.resize(read, [100, 400], antialias=True))
    assert images.key(0)["size"] == [100, 400]
    square = ImageFolder(folder, size=(16, 16))
    assert (square.size, square.key(0)) == (16, ImageFolder(folder, size=16).key(0))
    assert train_val_folders(make_folder(("a", "b")), size=(4, 8))[1][0][0].shape == (3, 4, 8)


class TestForClasses:
    def test_some_classes_in_the_order_given(self, make_folder):
        folder = make_folder(("cat", "dog"), images=2) / "val"
        images = images_for_classes(folder, ["emu", "dog", "cat"], 8)
        assert images.classes == ["emu", "dog", "cat"]
        assert {(path.parent.name, target) for path, target in zip(images.paths, images.targets, strict=True)} == {
            ("dog", 1),
            ("cat", 2),
        }
        assert images[0][0].shape == (3, 8, 8)
        own = ImageFolder(folder, size=8)
        assert images.key(images.paths.index(own.paths[0])) == own.key(0)
        assert images_for_classes(folder, ["cat", "dog"], limit_per_class=1).targets == [0, 1]

    def test_a_class_that_is_not_among_them(self, make_folder):
        folder = make_folder(("cat", "dog"), images=1)
        with pytest.raises(ValueError, match=r"only folders of the classes 'cat', got also 'dog'$"):
            images_for_classes(folder / "val", ["cat"])
        with pytest.raises(ValueError, match=r"got also 'train', 'val'; did you mean .*photos/val\?"):
            images_for_classes(folder, ["cat", "dog"])
        many = [f"class {i}" for i in range(1000)]
        with pytest.raises(ValueError, match=r"'class 7', \.\.\. \(1000 in all\), got also 'cat', 'dog'"):
            images_for_classes(folder / "val", many)

    def test_bad_arguments(self, make_folder, tmp_path):
        folder = make_folder() / "val"
        with pytest.raises(TypeError, match="classes must be a list of names, got 'cat'"):
            images_for_classes(folder, "cat")
        with pytest.raises(TypeError, match=r"classes must be a list of names, got \[0, 1\]"):
            images_for_classes(folder, [0, 1])
        with pytest.raises(ValueError, match=r"classes must differ, got \['cat', 'cat'\]"):
            images_for_classes(folder, ["cat", "cat"])
        with pytest.raises(FileNotFoundError, match="there is no folder"):
            images_for_classes(tmp_path / "nowhere", ["cat"])


def test_a_limit_takes_a_random_choice_that_the_seed_fixes_and_grows(make_folder):
    folder = make_folder(("cat", "dog"), images=20, splits=("train",), size=4) / "train"

    def chosen(limit, seed=0):
        images = ImageFolder(folder, limit_per_class=limit, seed=seed)
        assert images.targets == sorted(images.targets)
        return {(path.parent.name, path.name) for path in images.paths}

    assert len(chosen(5)) == 10
    assert chosen(5) == chosen(5)
    assert chosen(5) < chosen(6)
    assert chosen(5) != chosen(5, seed=1)
    assert len(chosen(100)) == 40


def test_both_splits_with_the_limit_on_training_alone(make_folder):
    train, val = train_val_folders(make_folder(images=3), size=12, limit_per_class=1)
    assert (len(train), len(val), train.classes) == (2, 6, ["cat", "dog"])
    assert train[0][0].shape == val[0][0].shape == (3, 12, 12)


def test_a_truncated_jpeg_is_named(make_folder, rng_picture):
    folder = make_folder(images=1) / "train"
    path = folder / "cat" / "broken.jpg"
    rng_picture.save(path)
    path.write_bytes(path.read_bytes()[:-200])
    images = ImageFolder(folder)
    with pytest.raises(BadImageError, match=r"cannot read .*cat/broken\.jpg as an image: \w"):
        images[images.paths.index(path)]


@pytest.mark.parametrize(
    "content", [b"", b"no image at all\n", b"\x89PNG\r\n\x1a\n half"], ids=["empty", "text", "header"]
)
def test_a_file_that_is_no_image_is_named(make_folder, content):
    folder = make_folder(images=1) / "train"
    path = folder / "cat" / "0.jpg"
    path.write_bytes(content)
    images = ImageFolder(folder)
    with pytest.raises(BadImageError, match=r"cannot read .*cat/0\.jpg as an image: "):
        images[0]


def test_a_file_that_went_away_is_named(make_folder):
    images = ImageFolder(make_folder() / "train")
    images.paths[0].unlink()
    with pytest.raises(BadImageError, match=r"cannot read .*cat/0\.png: No such file"):
        images.key(0)


@pytest.fixture
def rng_picture():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    return PIL.Image.fromarray(pixels)


class TestWrongFolders:
    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere; expected .*nowhere/train/CLASS"):
            train_val_folders(tmp_path / "nowhere")

    def test_a_file(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(ValueError, match=r"file is no folder; expected"):
            train_val_folders(tmp_path / "file")

    def test_empty(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"has no folder train/; expected"):
            train_val_folders(tmp_path)

    def test_no_val(self, make_folder):
        with pytest.raises(FileNotFoundError, match=r"photos has no folder val/; expected"):
            train_val_folders(make_folder(splits=("train",)))

    def test_no_classes(self, make_folder):
        folder = make_folder(splits=("train",))
        (folder / "val").mkdir()
        with pytest.raises(ValueError, match=r"photos/val holds no class folders; expected"):
            train_val_folders(folder)

    def test_a_class_without_images(self, make_folder):
        folder = make_folder()
        (folder / "train" / "emu").mkdir()
        with pytest.raises(ValueError, match=r"at least one image .*, there is none in .*train/emu"):
            train_val_folders(folder)

    def test_one_class(self, make_folder):
        with pytest.raises(ValueError, match=r"train must hold at least two class folders, got \['cat'\]"):
            train_val_folders(make_folder(("cat",)))

    def test_other_classes_in_val(self, make_folder):
        folder = make_folder()
        (folder / "val" / "cat").rename(folder / "val" / "cow")
        with pytest.raises(ValueError, match=r"the same classes; only in train: \['cat'\], only in val: \['cow'\]"):
            train_val_folders(folder)


def test_bad_arguments(make_folder):
    folder = make_folder() / "train"
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        ImageFolder(folder, size=0)
    with pytest.raises(ValueError, match="limit_per_class must be at least 1, got 0"):
        ImageFolder(folder, limit_per_class=0)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        ImageFolder(folder / "none")
    with pytest.raises(TypeError, match="seed must be an int"):
        ImageFolder(folder, seed=0.5)
