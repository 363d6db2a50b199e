import pytest

from segaug.data import SceneImages, Scenes, open_data


def test_a_folder(make_folder):
    splits = open_data(make_folder(), size=16, limit_per_class=2, seed=3)
    assert (len(splits.train), len(splits.val), splits.train.size, splits.has_segments) == (4, 6, 16, False)
    assert open_data(str(splits.train.folder.parent)).val.size == 144


def test_scenes_of_training_follow_the_seed_and_those_of_validation_do_not():
    splits = [open_data("scenes:majority", num_scenes=(10, 6), size=64, seed=seed) for seed in (0, 1)]
    assert all(s.has_segments and (len(s.train), len(s.val), s.train.size) == (10, 6, 64) for s in splits)
    assert splits[0].train.key(0) != splits[1].train.key(0)
    assert splits[0].val.key(0) == splits[1].val.key(0)
    assert splits[0].val.key(0) not in [splits[0].train.key(i) for i in range(10)]
    assert open_data("scenes:majority", num_scenes=(1, 1)).train.size == 96


@pytest.mark.parametrize("task", ["count", "majority", "relation", "orientation"])
def test_targets_are_known_without_drawing(task):
    scenes = Scenes(task, n=12, size=64, seed=5)
    assert SceneImages(scenes).targets == [scenes[i][1] for i in range(12)]


def test_a_limit_keeps_the_first_of_each_class():
    scenes = Scenes("orientation", n=60, size=64)
    images = SceneImages(scenes, limit_per_class=3)
    assert sorted(images.targets) == sorted([0, 1, 2, 3] * 3)
    everything = SceneImages(scenes)
    for target in range(4):
        mine = [images.key(i) for i in range(12) if images.targets[i] == target]
        assert mine == [everything.key(i) for i in range(60) if everything.targets[i] == target][:3]
    assert [images[i][1] for i in range(12)] == images.targets


def test_scenes_with_options():
    splits = open_data("scenes:count,scale=0.7,region=left", num_scenes=(4, 3), size=64)
    for images in (splits.train, splits.val):
        assert (images.scenes.scale, images.scenes.region) == (0.7, "left")
    plain = open_data("scenes:count", num_scenes=(4, 3), size=64)
    assert splits.val.targets == plain.val.targets


def test_the_key_tells_scale_and_region_apart_and_is_as_ever_without():
    def key(**options):
        return SceneImages(Scenes("count", n=1, size=64, **options)).key(0)

    assert set(key()) == {"scenes", "drawing"}
    keys = [key(), key(scale=0.8), key(region="left"), key(region="right"), key(scale=0.8, region="right")]
    assert all(a != b for i, a in enumerate(keys) for b in keys[:i])


def test_the_key_follows_how_scenes_are_drawn(monkeypatch):
    before = SceneImages(Scenes("count", n=2, size=64)).key(1)
    assert SceneImages(Scenes("count", n=3, size=64)).key(1) == before
    monkeypatch.setattr("segaug.data._scenes._tasks._CLOSENESS", 0.9)
    assert SceneImages(Scenes("count", n=2, size=64)).key(1) != before


def test_bad_arguments(make_folder):
    with pytest.raises(ValueError, match=r"task must be one of .*count.*, got 'counting'"):
        open_data("scenes:counting")
    with pytest.raises(FileNotFoundError, match="there is no folder nowhere"):
        open_data("nowhere")
    with pytest.raises(ValueError, match=r"seed must be below 2\*\*64 - 1"):
        open_data("scenes:count", seed=2**64 - 1)
    with pytest.raises(TypeError, match="scenes:count has the options scale, region, got 'colour'"):
        open_data("scenes:count,colour=red")
    with pytest.raises(TypeError, match=r"size must be an int, got \(64, 96\)"):
        open_data("scenes:count", size=(64, 96))
    with pytest.raises(TypeError, match="download must be True or False, got 'yes'"):
        open_data("scenes:count", download="yes")
    for options in ({"root": "x"}, {"train_split": "x"}, {"val_split": "x"}):
        with pytest.raises(ValueError, match=r"(root|_split) must be None but for torchvision: and hf: data, got 'x'"):
            open_data("scenes:count", **options)
    with pytest.raises(ValueError, match="limit_per_class must be at least 1, got 0"):
        open_data("scenes:count", limit_per_class=0, num_scenes=(2, 2))
