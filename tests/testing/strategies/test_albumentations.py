"""albumentations' transforms as a strategy: every class, choices, shrinking, no warnings at construction."""

import albumentations as A
import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from segaug.adapters import albumentations_support
from segaug.testing.strategies import albumentations_transforms
from segaug.testing.strategies._registry import not_drawn, registered

ENTRIES = registered("albumentations")
TYPES = {"uint8": np.uint8, "float": np.float32}
quick = settings(derandomize=True, deadline=None, database=None, max_examples=3)


def apply(transform, entry, dtype=np.uint8, height=12, width=16):
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    mask = (picture[..., 0] > 100).astype(np.uint8)
    dtype = next((TYPES[need] for need in entry.needs if need in TYPES), dtype)
    transform.set_random_seed(0)
    image = picture if dtype == np.uint8 else (picture / 255).astype(np.float32)
    return transform(image=image, **({"mask": mask} if "mask" in entry.needs else {}))["image"], dtype


def test_names_every_class():
    public = {row.name for row in albumentations_support()}
    assert set(ENTRIES) | set(not_drawn("albumentations")) == public
    assert not set(ENTRIES) & set(not_drawn("albumentations"))


@pytest.mark.parametrize("name", ENTRIES)
def test_draws_and_sample_work(name):
    entry = ENTRIES[name]

    @quick
    @given(entry.strategy, st.sampled_from((np.uint8, np.float32)))
    def run(transform, dtype):
        out, dtype = apply(transform, entry, dtype)
        assert type(transform) is entry.cls
        assert out.ndim == 3
        assert entry.kind == "dtype" or out.dtype == dtype
        assert out.shape == (12, 16, 3) or not entry.keeps_shape

    run()
    assert apply(entry.sample(), entry, height=8, width=8)[0].size


class TestChoices:
    def test_names_exclude_and_kinds(self):
        allowed = {entry.cls for entry in ENTRIES.values() if entry.kind == "filter"} - {A.Blur}

        @quick
        @given(albumentations_transforms(kinds=["filter"], exclude=["Blur"]))
        def run(transform):
            assert type(transform) in allowed

        run()
        assert isinstance(find(albumentations_transforms(names=["MaskDropout"]), lambda _: True), A.MaskDropout)

    def test_needs_are_left_out_unless_met(self):
        others = [name for name in ENTRIES if name != "MaskDropout"]
        with pytest.raises(ValueError, match="must leave a transform of albumentations"):
            albumentations_transforms(exclude=others)
        found = find(albumentations_transforms(exclude=others, needs=["mask", "float"]), lambda _: True)
        assert isinstance(found, A.MaskDropout)

    def test_shrinks_to_a_sure_flip(self):
        assert repr(find(albumentations_transforms(), lambda transform: True)) == "HorizontalFlip(p=1.0)"

    def test_bad_names(self):
        with pytest.raises(ValueError, match="got 'ColourJitter'; near it: ColorJitter"):
            albumentations_transforms(names=["ColourJitter"])
        with pytest.raises(ValueError, match="got 'FDA': it needs other pictures"):
            albumentations_transforms(names=["FDA"])


def test_advice_to_take_another_class_is_for_those_who_chose_it():
    with pytest.warns(UserWarning, match="is an alias for"):
        A.TimeReverse()
    shown = find(albumentations_transforms(names=["TimeReverse", "ShiftScaleRotate"]), lambda transform: True)
    assert repr(shown) == "TimeReverse(p=1.0)"
