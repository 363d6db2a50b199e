import shutil
from dataclasses import replace

import pytest
from torchvision.datasets import FakeData

from segaug.data import BadImageError, DatasetImages
from segaug.evaluation import load_run, open_images, predict
from segaug.evaluation._images import _chosen


def test_own_and_other_folders(run_folder, photos):
    run = load_run(run_folder)
    own = open_images(run)
    assert [str(path) for path in own.paths] == [str(path) for path in open_images(run, photos / "val").paths]
    assert len(own) == 12
    assert len(open_images(run, photos / "train")) == 18
    assert len(open_images(run, photos, limit_per_class=2)) == 6


def test_some_of_the_classes(run_folder, photos, tmp_path):
    shutil.copytree(photos / "val" / "red", tmp_path / "red")
    images = open_images(load_run(run_folder), tmp_path)
    assert images.targets == [2] * 4
    assert images.classes == ["blue", "green", "red"]


def test_other_classes(run_folder, photos, tmp_path):
    shutil.copytree(photos / "val" / "red", tmp_path / "pink")
    with pytest.raises(ValueError, match="'pink'"):
        open_images(load_run(run_folder), tmp_path)
    with pytest.raises(
        ValueError, match="classes of scenes:count must be among the run's 3; it does not know '0', '1'"
    ):
        open_images(replace(load_run(run_folder), size=64), "scenes:count")
    with pytest.raises(FileNotFoundError, match="no_such"):
        open_images(load_run(run_folder), tmp_path / "no_such")
    with pytest.raises(ValueError, match="limit_per_class must be at least 1, got 0"):
        open_images(load_run(run_folder), limit_per_class=0)


def test_scenes_by_the_runs_numbers(run_folder):
    run = replace(load_run(run_folder), size=64)
    theirs = open_images(replace(run, classes=["left", "right", "up", "down"]), "scenes:orientation", limit_per_class=3)
    images = open_images(replace(run, classes=["down", "up", "right", "left"]), "scenes:orientation", limit_per_class=3)
    assert len(images) == 12
    assert images.targets == [{0: 3, 1: 2, 2: 1, 3: 0}[target] for target in theirs.targets]
    sample, target = images[0]
    assert (target, tuple(sample.image.shape)) == (images.targets[0], (3, 64, 64))
    assert images.key(0) == theirs.key(0)


@pytest.mark.parametrize(
    "data", ["scenes:orientation", "torchvision:FakeData,size=90,image_size=(3,8,8),num_classes=3"]
)
def test_seed_decides_which_images_a_limit_keeps(run_folder, data):
    classes = ["left", "right", "up", "down"] if data.startswith("scenes") else ["0", "1", "2"]
    run = replace(load_run(run_folder), size=64, classes=classes)

    def keys(limit, seed):
        images = open_images(run, data, limit_per_class=limit, seed=seed)
        assert {images.targets.count(target) for target in set(images.targets)} == {limit}
        return {str(images.key(i)) for i in range(len(images))}

    assert keys(2, 0) == keys(2, 0) != keys(2, 1)
    assert keys(2, 1) < keys(3, 1)


def test_classes_of_one_name(run_folder, photos):
    data = "torchvision:FakeData,size=90,image_size=(3,8,8),num_classes=3"
    twins = ["1", "0", "1"]
    images = DatasetImages(FakeData(30, (3, 8, 8), num_classes=3), twins, size=24)
    assert _chosen(images, data, twins, None, 0).targets == images.targets
    with pytest.raises(
        ValueError, match=r"the classes of data must have different names to be found in .*, got '1' twice"
    ):
        _chosen(images, "data", ["0", "1", "2"], None, 0)
    run = replace(load_run(run_folder), classes=["0", "1", "2", "1"])
    with pytest.raises(ValueError, match=r"the run's classes must have different names .*, got '1' twice"):
        open_images(run, data)
    with pytest.raises(ValueError, match=r"the run's classes must have different names .*, got 'red' twice"):
        open_images(replace(run, classes=["blue", "red", "green", "red"]), photos)


def test_true_segments_need_images_that_bring_them(run_folder):
    run = replace(load_run(run_folder), segmenter=None)
    with pytest.raises(ValueError, match="was trained on the true segments that scenes bring"):
        open_images(run)


@pytest.mark.parametrize("workers", [0, 1])
def test_images_that_cannot_be_read(run_folder, photos, tmp_path, workers):
    folder = tmp_path / "photos"
    shutil.copytree(photos / "val", folder)
    (folder / "red" / "1.png").write_bytes(b"no picture")
    run = load_run(run_folder)
    images = open_images(run, folder)
    with pytest.raises(BadImageError, match=r"cannot read .*red.1.png") as raised:
        predict(run, images, workers=workers)
    assert "Traceback" not in str(raised.value)
    answers = predict(run, images, workers=workers, skip_bad=True)
    assert len(answers.logits) == 11
    assert len(answers.skipped) == 1
    assert "1.png" in answers.skipped[0]
