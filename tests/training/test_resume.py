import re

import pytest
import torch
from torch import nn
from torchvision.transforms import v2

from segaug import PositionJitter, RandomMirror
from segaug.models import MaskedSViT
from segaug.training import Recipe, RunFolder, fit, load_checkpoint, make_recipe, pretrain
from segaug.training._resume import plain_settings, recipe_structure, structure

JITTER = Recipe(tokens=PositionJitter(0.02, 0.2))


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    for name in ("_training.draw_curves", "_training.draw_tokens", "_pretrain.draw_reconstructions"):
        monkeypatch.setattr(f"segaug.training.{name}", lambda *args, **options: b"picture")


@pytest.fixture(params=["fit", "pretrain"])
def go(request, tmp_path, make_model, token_sets):
    """``go(epochs, recipe=..., settings=..., **model's)``: start the run, or resume it if it is there."""

    def run(epochs, *, recipe=None, settings=None, **options):
        model = make_model(**options)
        there = RunFolder(tmp_path / "run", resume=(tmp_path / "run" / "last.safetensors").exists())
        shared = {"epochs": epochs, "batch_size": 10, "recipe": recipe, "settings": settings, "progress": False}
        if request.param == "fit":
            return model, fit(model, *token_sets, there, **shared)
        masked = MaskedSViT(model, decoder_dim=16, decoder_depth=1)
        return masked, pretrain(masked, token_sets[0], there, **shared)

    return run


def test_settings_are_compared_as_they_come_back(go):
    settings = {"size": (3, 4), "by": {1: 2}, "none": None}
    go(1, settings=settings)
    assert go(2, settings=settings)[1]["epochs"] == 2
    with pytest.raises(ValueError, match=r"size was \[3, 4\] and is \[4, 3\]"):
        go(2, settings={**settings, "size": (4, 3)})


@pytest.mark.parametrize("value", [re.compile("x"), float("nan"), {1, 2}, torch.zeros(2)])
def test_settings_that_cannot_be_saved_are_refused_at_once(go, tmp_path, value):
    with pytest.raises(TypeError, match="settings must be what JSON can hold, got "):
        go(1, settings={"value": value})
    assert not (tmp_path / "run").exists()
    with pytest.raises(TypeError, match=r"settings must be a mapping or None, got \[1\]"):
        go(1, settings=[1])


def test_another_model_of_the_same_shapes_is_refused(go, tmp_path):
    go(1)
    before = (tmp_path / "run" / "last.safetensors").read_bytes()
    for options, message in (
        ({"num_heads": 4}, "is of another model: num_heads is 2 there and 4 here"),
        ({"pixel_mean": 0.5}, r"is of another model: pixel_mean is \[0\.45\] there and \[0\.5\] here"),
        ({"drop_path_rate": 0.5}, "cannot be resumed with another model: the model's structure changed"),
        ({"drop_rate": 0.1}, "cannot be resumed with another model: the model's structure changed"),
    ):
        with pytest.raises(ValueError, match=message):
            go(2, **options)
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == before
    # Of other shapes: which, says more.
    with pytest.raises(ValueError, match=r"is of another model: .* is 1x1x16 there and 1x1x32 here"):
        go(2, embed_dim=32)


def test_another_recipe_is_refused(go):
    go(1, recipe=JITTER)
    for recipe, parts in (
        (None, "tokens"),
        (Recipe(tokens=PositionJitter(0.02, 0.3)), "tokens"),
        (Recipe(tokens=JITTER.tokens, image=v2.RandomHorizontalFlip()), "image"),
        (Recipe(tokens=RandomMirror(), image=v2.RandomHorizontalFlip()), "image, tokens"),
    ):
        with pytest.raises(ValueError, match=rf"cannot be resumed with other settings: the recipe changed \({parts}\)"):
            go(2, recipe=recipe)
    assert go(2, recipe=Recipe(tokens=PositionJitter(0.02, 0.2)))[1]["epochs"] == 2


def test_recipes_of_functions_are_resumed(go, tmp_path):
    def make():
        return Recipe(image=lambda image: image, tokens=lambda tokens: tokens)

    go(1, recipe=make())
    assert go(2, recipe=make())[1]["epochs"] == 2
    saved = load_checkpoint(tmp_path / "run" / "last.safetensors").meta["settings"]["recipe_structure"]
    assert saved["image"].startswith("<function test_recipes_of_functions_are_resumed.<locals>.make.<locals>.<lambda")
    assert saved["batch"] is None


def test_structure_is_of_the_model_and_not_of_its_weights_or_place():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.function = object()

        def extra_repr(self):
            return repr(self.function)

    assert structure(Odd()) == structure(Odd())
    assert structure(nn.Linear(2, 3)) == structure(nn.Linear(2, 3))
    assert len({structure(nn.Dropout(p)) for p in (0.1, 0.2, 0.3)}) == 3


def test_descriptions_are_plain():
    assert recipe_structure(make_recipe("none")) == {"image": None, "tokens": None, "batch": None}
    tokens = recipe_structure(make_recipe("segment"))["tokens"]
    assert "PositionJitter(box_std=0.02" in tokens
    assert "\n" not in tokens
    assert plain_settings(None) == {}
    assert plain_settings({"a": (1, "b"), 2: {"c": 1.5}}) == {"a": [1, "b"], "2": {"c": 1.5}}


def test_epochs_below_the_one_that_was_begun_are_refused(tmp_path, make_model, token_sets):
    def go(epochs):
        there = RunFolder(tmp_path, resume=(tmp_path / "last.safetensors").exists())
        fit(
            make_model(),
            *token_sets,
            there,
            epochs=epochs,
            batch_size=10,
            evaluate_every=3,
            checkpoint_steps=1,
            progress=False,
        )

    class KilledError(Exception):
        pass

    def dies(*args, **options):
        raise KilledError

    with pytest.MonkeyPatch.context() as patch:
        # The second checkpoint of the third epoch is never written: the run stands after its first step.
        patch.setattr("segaug.training._training.Training._evaluate", dies)
        with pytest.raises(KilledError):
            go(4)
    before = (tmp_path / "last.safetensors").read_bytes()
    assert load_checkpoint(tmp_path / "last.safetensors").meta["partial"]["step"] == 1
    with pytest.raises(ValueError, match=r"epochs must be at least 3, which the run in .* has begun, got 2"):
        go(2)
    assert (tmp_path / "last.safetensors").read_bytes() == before


def test_a_compiled_model_with_a_mean_goes_on_as_a_plain_one(tmp_path, make_model, token_sets, monkeypatch):
    # The cosine depends on the number of epochs, which changes here.
    monkeypatch.setattr("segaug.training._training.learning_rate", lambda step, steps, *, lr, warmup: lr)

    def go(folder, epochs, *, compiled=False):
        model = make_model()
        there = RunFolder(folder, resume=(folder / "last.safetensors").exists())
        model = torch.compile(model, backend="eager") if compiled else model
        fit(model, *token_sets, there, epochs=epochs, batch_size=10, ema_decay=0.9, progress=False)
        return load_checkpoint(folder / "last.safetensors")

    go(tmp_path / "both", 1, compiled=True)
    both, plain = go(tmp_path / "both", 2), go(tmp_path / "plain", 2)
    states = [{name: state["exp_avg"] for name, state in one.optimizer.items()} for one in (both, plain)]
    for left, right in ((both.model, plain.model), (both.raw, plain.raw), states):
        assert left.keys() == right.keys()
        assert all(torch.equal(left[name], right[name]) for name in left)
    assert not torch.equal(both.model["head.weight"], both.raw["head.weight"])
