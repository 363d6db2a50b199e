"""torchvision's transforms as a strategy: every class, choices by name, kind and need, shrinking, registration."""

import re

import pytest
import torch
from hypothesis import find, given, settings
from hypothesis import strategies as st
from torchvision import tv_tensors
from torchvision.transforms import v2

from segaug.testing.strategies import register_transform, torchvision_transforms
from segaug.testing.strategies._registry import KINDS, NEEDS, not_drawn, registered
from segaug.transforms._engine._samples import torchvision_classes

ENTRIES = registered("torchvision")
quick = settings(derandomize=True, deadline=None, database=None, max_examples=20)


def noise(dtype=torch.uint8, height=12, width=16):
    picture = torch.randint(0, 256, (3, height, width), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return tv_tensors.Image(picture if dtype == torch.uint8 else picture / 255)


def apply(transform, needs, picture):
    """Run it on what it needs, and return the picture that comes."""
    size = picture.shape[-2:]
    boxes = tv_tensors.BoundingBoxes([[1, 1, 7, 8], [2, 0, 6, 5]], format="XYXY", canvas_size=size)
    points = tv_tensors.KeyPoints([[1, 1], [5, 6]], canvas_size=size)
    if "boxes" in needs:
        return transform({"image": picture, "boxes": boxes, "labels": torch.tensor([1, 2])})["image"]
    return transform(picture, points)[0] if "keypoints" in needs else transform(picture)


class TestRegistry:
    def test_names_every_class(self):
        public = {cls.__name__ for cls in torchvision_classes()}
        assert set(ENTRIES) | set(not_drawn("torchvision")) == public
        assert not set(ENTRIES) & set(not_drawn("torchvision"))

    @pytest.mark.parametrize("library", ["torchvision", "kornia", "albumentations"])
    def test_kinds_and_needs_are_known(self, library):
        for name, entry in registered(library).items():
            assert entry.cls.__name__ == name
            assert entry.kind in KINDS
            assert set(entry.needs) <= set(NEEDS)
        assert all(not_drawn(library).values())

    @pytest.mark.parametrize("library", ["torchvision", "kornia", "albumentations"])
    def test_samples_run_half_of_the_time(self, library):
        for entry in registered(library).values():
            sample = entry.sample()
            assert isinstance(sample, entry.cls)
            assert sample is not entry.sample()
            if entry.keeps_shape and entry.kind not in ("policy", "container"):
                assert getattr(sample, "p", 0.5) == 0.5


# torchvision 0.29 announces that its JPEG coders will move.
@pytest.mark.filterwarnings("ignore:The image decoding and encoding capabilities of TorchVision:DeprecationWarning")
@pytest.mark.parametrize("name", ENTRIES)
class TestEveryClass:
    def test_draws_work(self, name):
        entry = ENTRIES[name]
        height, width = 12, 16

        @quick
        @given(entry.strategy, st.sampled_from((torch.uint8, torch.float32)))
        def run(transform, dtype):
            own = {"uint8": torch.uint8, "float": torch.float32}
            dtype = next((own[need] for need in entry.needs if need in own), dtype)
            picture = noise(dtype)
            out = apply(transform, entry.needs, picture)
            assert type(out) is type(picture)
            assert type(transform) is entry.cls
            assert entry.kind == "dtype" or out.dtype == dtype
            assert not entry.keeps_shape or out.shape == (3, height, width)

        run()

    def test_sample_works_on_the_smallest_picture(self, name):
        entry = ENTRIES[name]
        dtype = torch.float32 if "float" in entry.needs else torch.uint8
        assert apply(entry.sample(), entry.needs, noise(dtype, 8, 8)).numel()


class TestChoices:
    def test_names(self):
        @quick
        @given(torchvision_transforms(names=["RandomCrop", "JPEG"]))
        def run(transform):
            assert isinstance(transform, v2.RandomCrop | v2.JPEG)

        run()

    def test_exclude_and_kinds(self):
        names = {entry.cls for entry in ENTRIES.values() if entry.kind == "filter"} - {v2.GaussianBlur}

        @quick
        @given(torchvision_transforms(kinds={"filter"}, exclude=("GaussianBlur", "CutMix")))
        def run(transform):
            assert type(transform) in names

        run()

    def test_needs_are_left_out_unless_met(self):
        with pytest.raises(ValueError, match="must leave a transform of torchvision"):
            torchvision_transforms(kinds=["filter"], exclude=["GaussianBlur", "RandomAdjustSharpness"])
        strategy = torchvision_transforms(
            kinds=["filter"], exclude=["GaussianBlur", "RandomAdjustSharpness"], needs=["uint8"]
        )
        assert isinstance(find(strategy, lambda transform: True), v2.JPEG)

    def test_new_instance_for_each_draw(self):
        drawn = []

        @quick
        @given(torchvision_transforms(names=["Identity"]))
        def run(transform):
            drawn.append(transform)

        run()
        assert len({id(transform) for transform in drawn}) == len(drawn)


class TestShrinking:
    def test_to_a_sure_flip(self):
        simplest = find(torchvision_transforms(), lambda transform: True)
        assert repr(simplest) == "RandomHorizontalFlip(p=1.0)"

    def test_to_small_arguments(self):
        found = find(torchvision_transforms(), lambda transform: isinstance(transform, v2.ColorJitter))
        assert found.brightness is found.hue is None
        found = find(torchvision_transforms(), lambda transform: isinstance(transform, v2.RandomCrop))
        assert (found.size, found.padding) == ((1, 1), None)

    def test_to_p_of_half_before_others(self):
        found = find(torchvision_transforms(), lambda transform: getattr(transform, "p", 1.0) < 1)
        assert repr(found) == "RandomHorizontalFlip(p=0.5)"

    def test_failure_shows_the_call(self):
        @settings(derandomize=True, deadline=None, database=None)
        @given(transform=torchvision_transforms(names=["RandomPosterize"]))
        def run(transform):
            assert transform.bits == 1

        with pytest.raises(AssertionError) as caught:
            run()
        assert re.search(r"transform=RandomPosterize\(\s*bits=2,\s*p=1.0", "\n".join(caught.value.__notes__))


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"names": "RandomCrop"}, TypeError, "names must be a list, tuple or set of strings, got 'RandomCrop'"),
            ({"names": [v2.RandomCrop]}, TypeError, "names must be a list, tuple or set of strings"),
            ({"names": ["RandomCrops"]}, ValueError, "got 'RandomCrops'; near it: RandomCrop"),
            ({"names": ["qqq"]}, ValueError, "are drawn, got 'qqq'$"),
            ({"names": ["CutMix"]}, ValueError, "got 'CutMix': it mixes the pictures of a batch"),
            ({"exclude": ["Cutmix"]}, ValueError, "exclude must be .* near it: CutMix"),
            ({"kinds": ["colour"]}, ValueError, "kinds must be one of 'geometric', 'color'.* got 'colour'"),
            ({"kinds": "color"}, TypeError, "kinds must be"),
            ({"needs": ["int8"]}, ValueError, "needs must be one of 'uint8'"),
            ({"names": []}, ValueError, "must leave a transform of torchvision to draw"),
            ({"names": ["Pad"], "exclude": ["Pad"]}, ValueError, "must leave a transform"),
        ],
    )
    def test_is_refused_at_the_call(self, arguments, error, message):
        with pytest.raises(error, match=message):
            torchvision_transforms(**arguments)

    def test_is_shown_by_its_name(self):
        assert repr(torchvision_transforms()) == "torchvision_transforms()"

    def test_arguments_are_by_keyword(self):
        with pytest.raises(TypeError, match="positional"):
            torchvision_transforms(["Pad"])


class Darken(v2.Transform):
    def __init__(self, by=1):
        super().__init__()
        self.by = by

    def transform(self, inpt, params):
        return inpt // (1 + self.by)


class TestRegisterTransform:
    def test_is_drawn_until_taken_back(self):
        take_back = register_transform(Darken, st.builds(Darken, by=st.integers(1, 9)), kind="color")
        try:
            assert find(torchvision_transforms(names=["Darken"]), lambda transform: transform.by > 3).by == 4
            assert registered("torchvision")["Darken"].sample().by == 1
            assert repr(find(torchvision_transforms(), lambda transform: True)) == "RandomHorizontalFlip(p=1.0)"
        finally:
            take_back()
        with pytest.raises(ValueError, match="got 'Darken'"):
            torchvision_transforms(names=["Darken"])

    def test_of_a_class_that_is_drawn_anyway_replaces_it(self):
        first = register_transform(v2.RandomCrop, st.builds(v2.RandomCrop, size=st.just(5)), kind="geometric")
        second = register_transform(v2.RandomCrop, st.builds(v2.RandomCrop, size=st.just(4)), kind="geometric")
        strategy = torchvision_transforms(names=["RandomCrop"])
        assert find(strategy, lambda transform: True).size == (4, 4)
        second()
        assert registered("torchvision")["RandomCrop"].sample().size == (5, 5)
        first()
        assert registered("torchvision")["RandomCrop"] is ENTRIES["RandomCrop"]

    def test_makes_a_class_drawn_that_was_not(self):
        take_back = register_transform(v2.Lambda, st.builds(v2.Lambda, st.just(torch.clone)), kind="identity")
        try:
            assert "Lambda" not in not_drawn("torchvision")
            assert isinstance(find(torchvision_transforms(names=["Lambda"]), lambda transform: True), v2.Lambda)
        finally:
            take_back()

    @pytest.mark.parametrize(
        ("cls", "strategy", "kind", "error", "message"),
        [
            (Darken(), st.builds(Darken), "color", TypeError, "cls must be a class, got Darken()"),
            (Darken, Darken, "color", TypeError, "strategy must be a strategy of hypothesis"),
            (Darken, st.builds(Darken), "dark", ValueError, "kind must be one of"),
            (dict, st.builds(dict), "color", ValueError, "cls must be a class of torchvision, kornia, albumentations"),
            (type("RandomCrop", (Darken,), {}), st.nothing(), "color", ValueError, "cls must have a name of its own"),
        ],
    )
    def test_bad_input(self, cls, strategy, kind, error, message):
        with pytest.raises(error, match=message):
            register_transform(cls, strategy, kind=kind)


def test_unknown_library():
    with pytest.raises(
        ValueError, match="library must be one of 'torchvision', 'kornia', 'albumentations', got 'timm'"
    ):
        registered("timm")
