"""kornia's augmentations as a strategy: every class, choices, shrinking, lazy import."""

import inspect
import sys

import kornia.augmentation as K
import pytest
import torch
from hypothesis import find, given, settings

from segaug.adapters import kornia_support
from segaug.testing.strategies import _albumentations, _kornia, kornia_transforms
from segaug.testing.strategies._registry import not_drawn, registered

ENTRIES = registered("kornia")
quick = settings(derandomize=True, deadline=None, database=None, max_examples=3)


def noise(height=12, width=16):
    return torch.rand((2, 3, height, width), generator=torch.Generator().manual_seed(0))


def test_names_every_class():
    public = {row.name for row in kornia_support()}
    assert set(ENTRIES) | set(not_drawn("kornia")) == public
    assert not set(ENTRIES) & set(not_drawn("kornia"))


@pytest.mark.parametrize("name", ENTRIES)
def test_draws_and_sample_work(name):
    entry = ENTRIES[name]

    @quick
    @given(entry.strategy)
    def run(augmentation):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            out = augmentation(noise())
        assert type(augmentation) is entry.cls
        assert out.shape[:2] == (2, 3)
        assert out.shape == (2, 3, 12, 16) or not entry.keeps_shape

    run()
    assert entry.sample()(noise(8, 8)).shape[:2] == (2, 3)


class TestChoices:
    def test_names_exclude_and_kinds(self):
        allowed = {entry.cls for entry in ENTRIES.values() if entry.kind == "dropout"} - {K.RandomErasing}

        @quick
        @given(kornia_transforms(kinds=["dropout"], exclude=["RandomErasing"]))
        def run(augmentation):
            assert type(augmentation) in allowed

        run()
        assert isinstance(find(kornia_transforms(names=["RandomJigsaw"]), lambda _: True), K.RandomJigsaw)

    def test_needs_are_left_out_unless_met(self):
        others = [name for name in ENTRIES if name != "RandomJigsaw"]
        with pytest.raises(ValueError, match="must leave a transform of kornia"):
            kornia_transforms(exclude=others)
        assert isinstance(find(kornia_transforms(exclude=others, needs=["divisible"]), lambda _: True), K.RandomJigsaw)

    def test_shrinks_to_a_sure_flip(self):
        found = find(kornia_transforms(), lambda augmentation: True)
        assert isinstance(found, K.RandomHorizontalFlip)
        assert found.p == 1.0

    def test_bad_names(self):
        with pytest.raises(ValueError, match="got 'RandomHorizontalFlp'; near it: RandomHorizontalFlip"):
            kornia_transforms(names=["RandomHorizontalFlp"])
        with pytest.raises(ValueError, match="got 'RandomCrop3D': it acts on volumes"):
            kornia_transforms(names=["RandomCrop3D"])


@pytest.mark.parametrize(("module", "package"), [(_kornia, "kornia.augmentation"), (_albumentations, "albumentations")])
def test_libraries_are_imported_by_the_call(module, package, monkeypatch):
    library = package.partition(".")[0]
    assert not any(inspect.ismodule(value) and value.__name__.startswith(library) for value in vars(module).values())
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"pip install 'segaug\[{library}\]'"):
        getattr(module, f"{library}_transforms")()
