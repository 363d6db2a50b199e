import csv
import dataclasses
import json
import re

import accelerate
import PIL.Image
import pytest
import torch
import tqdm
from torchvision.transforms import v2

from segaug import BackgroundSwap, Grid, SegmentMix, Tokenize
from segaug._files import write_atomically
from segaug.data import ImageFolder, SceneImages, Scenes, TokenDataset, TokenSet, load_tokens, seeded_stream
from segaug.models import SViT
from segaug.training import (
    CsvLogger,
    Distillation,
    Recipe,
    RunFolder,
    evaluate,
    fit,
    load_checkpoint,
    load_model,
    make_recipe,
)

pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")

# What differs between two equal runs.
MEASURED = {"cpu_seconds", "images_per_second", "memory_mib", "seconds", "tokens_per_second", "val_seconds"}
OPTIONS = {"epochs": 2, "batch_size": 8, "lr": 0.01, "progress": False}


@pytest.fixture
def real_pictures():
    """Asks for the pictures of a run, which most tests can do without."""


@pytest.fixture(autouse=True)
def _quick(request, monkeypatch):
    if "real_pictures" not in request.fixturenames:
        for name in ("draw_curves", "draw_tokens"):
            monkeypatch.setattr(f"segaug.training._training.{name}", lambda *args, **options: b"picture")


def train(folder, model, token_sets, *, recipe="segment", resume=False, **options):
    run = RunFolder(folder, resume=resume)
    recipe = make_recipe(recipe, image_size=64)
    return fit(model, *token_sets, run, recipe=recipe, **{**OPTIONS, **options})


def metrics(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in MEASURED} for line in lines]


def assert_same_run(one, other):
    assert metrics(one) == metrics(other)
    for name in ("last", "best"):
        left, right = (load_checkpoint(folder / f"{name}.safetensors") for folder in (one, other))
        assert left.model.keys() == right.model.keys()
        assert all(torch.equal(left.model[key], right.model[key]) for key in left.model)
        assert left.optimizer.keys() == right.optimizer.keys()
        for key, state in left.optimizer.items():
            assert all(torch.equal(state[part], right.optimizer[key][part]) for part in state)


@pytest.fixture
def make_photos(tmp_path):
    for name in "abcd":
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(2):
            PIL.Image.new("RGB", (40, 30), (60 * i, 90, 20)).save(tmp_path / "photos" / name / f"{i}.png")
    return tmp_path / "photos"


class StoppedError(Exception):
    """Stands for a kill."""


def stop_after(monkeypatch, epochs, patched="segaug.training._training.evaluate"):
    """Let training run until ``epochs`` evaluations are done, then fail in the middle of the next epoch."""
    calls = []

    def counted(*args, **kwargs):
        if len(calls) == epochs:
            raise StoppedError
        calls.append(1)
        return evaluate(*args, **kwargs)

    monkeypatch.setattr(patched, counted)


@pytest.mark.usefixtures("real_pictures")
def test_what_a_run_leaves_and_returns(tmp_path, make_model, token_sets):
    result = train(tmp_path / "run", make_model(), token_sets, settings={"model": "tiny"})
    assert result.keys() == {
        "val_accuracy", "best_val_accuracy", "train_loss", "epochs", "images_per_second", "mean_tokens", "run",
    }  # fmt: skip
    assert (result["epochs"], result["run"]) == (2, str(tmp_path / "run"))
    assert result["mean_tokens"] == round(token_sets[0].mean_tokens, 1)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "best.safetensors", "last.safetensors", "metrics.jsonl", "curves.png", "tokens.png",
    }  # fmt: skip
    lines = metrics(tmp_path / "run")
    assert [line["epoch"] for line in lines] == [1, 2]
    assert result["val_accuracy"] == lines[-1]["val_accuracy"]
    assert result["best_val_accuracy"] == max(line["val_accuracy"] for line in lines)
    checkpoint = load_checkpoint(tmp_path / "run" / "last.safetensors")
    assert checkpoint.meta["settings"]["model"] == "tiny"
    assert checkpoint.meta["settings"]["classes"] == ["disk", "square", "triangle", "star"]


def test_the_best_model_is_the_one_of_the_best_epoch(tmp_path, make_model, token_sets):
    train(tmp_path, make_model(), token_sets, recipe="none", epochs=5)
    checkpoint = load_checkpoint(tmp_path / "best.safetensors")
    accuracies = [line["val_accuracy"] for line in metrics(tmp_path)]
    assert len(checkpoint.meta["history"]) == accuracies.index(max(accuracies)) + 1
    model = make_model()
    load_model(model, checkpoint)
    tokens = [token_sets[1][i] for i in range(12)]
    batch = [(tokens[i][0][None], torch.tensor([tokens[i][1]])) for i in range(12)]
    assert evaluate(model, batch).accuracy == pytest.approx(max(accuracies))


def test_it_learns(tmp_path, make_model, token_sets):
    train(tmp_path, make_model(pool="mean"), (token_sets[0], token_sets[0]), recipe="none", epochs=25, lr=0.02)
    lines = metrics(tmp_path)
    assert lines[-1]["val_loss"] < 0.6 * lines[0]["val_loss"]
    assert lines[-1]["val_accuracy"] > 0.8


@pytest.mark.parametrize("recipe", ["none", "image", "segment"])
def test_workers_change_nothing(tmp_path, make_model, token_sets, recipe):
    for workers in (0, 2):
        train(tmp_path / f"{workers}", make_model(drop_path_rate=0.2), token_sets, recipe=recipe, workers=workers)
    assert_same_run(tmp_path / "0", tmp_path / "2")


@pytest.mark.parametrize(("recipe", "workers"), [("segment", 0), ("segment", 2), ("image", 0)])
def test_a_resumed_run_equals_one_that_was_not_interrupted(
    tmp_path, make_model, token_sets, monkeypatch, recipe, workers
):
    options = {"recipe": recipe, "workers": workers, "epochs": 3}
    train(tmp_path / "whole", make_model(drop_path_rate=0.2), token_sets, **options)
    for epochs in (1, 2):
        folder = tmp_path / f"stopped{epochs}"
        with monkeypatch.context() as patch:
            stop_after(patch, epochs)
            with pytest.raises(StoppedError):
                train(folder, make_model(drop_path_rate=0.2), token_sets, **options)
        assert len(metrics(folder)) == epochs
        torch.rand(7)  # the global state is another one
        train(folder, make_model(drop_path_rate=0.2, drop_rate=0.0), token_sets, resume=True, **options)
        assert_same_run(folder, tmp_path / "whole")


def stop_writing(monkeypatch, name, count):
    """Fail instead of writing the ``count``-th file of a name."""
    written = []

    def write(path, data, **options):
        written.append(path.name)
        if path.name == name and written.count(name) == count:
            raise StoppedError
        write_atomically(path, data, **options)

    for module in ("_checkpoint", "_run_folder"):
        monkeypatch.setattr(f"segaug.training.{module}.write_atomically", write)


@pytest.mark.parametrize("name", ["best.safetensors", "last.safetensors", "metrics.jsonl", "curves.png"])
@pytest.mark.parametrize("count", [2, 3])
def test_a_run_killed_between_two_files_is_resumed_rightly(tmp_path, make_model, token_sets, monkeypatch, name, count):
    train(tmp_path / "whole", make_model(), token_sets, recipe="none", epochs=3)
    folder = tmp_path / "killed"
    with monkeypatch.context() as patch:
        stop_writing(patch, name, count)
        try:
            train(folder, make_model(), token_sets, recipe="none", epochs=3)
        except StoppedError:
            train(folder, make_model(), token_sets, recipe="none", epochs=3, resume=True)
    assert_same_run(folder, tmp_path / "whole")


def test_a_finished_run_may_go_on_and_says_the_same_if_it_does_not(tmp_path, make_model, token_sets):
    first = train(tmp_path, make_model(), token_sets)
    assert train(tmp_path, make_model(), token_sets, resume=True) == first
    assert train(tmp_path, make_model(), token_sets, resume=True, epochs=3)["epochs"] == 3
    assert [line["epoch"] for line in metrics(tmp_path)] == [1, 2, 3]
    with pytest.raises(ValueError, match=r"epochs must be at least 3, which the run in .* has done, got 2"):
        train(tmp_path, make_model(), token_sets, resume=True)


def test_other_settings_or_another_model_are_refused_by_name(tmp_path, make_model, token_sets):
    train(tmp_path, make_model(), token_sets, settings={"model": "svit_micro"}, epochs=1)
    before = (tmp_path / "last.safetensors").read_bytes()
    with pytest.raises(
        ValueError, match=r"other settings: lr was 0\.01 and is 0\.1; model was 'svit_micro' and is 'svit_tiny'"
    ):
        train(tmp_path, make_model(), token_sets, settings={"model": "svit_tiny"}, lr=0.1, resume=True)
    with pytest.raises(
        ValueError, match=r"last\.safetensors is of another model: cls_token is 1x1x16 there and 1x1x32"
    ):
        train(tmp_path, make_model(embed_dim=32), token_sets, settings={"model": "svit_micro"}, resume=True)
    with pytest.raises(ValueError, match=r"images was \[20, 12\] and is \[12, 20\]"):
        train(tmp_path, make_model(), token_sets[::-1], settings={"model": "svit_micro"}, resume=True)
    assert (tmp_path / "last.safetensors").read_bytes() == before


def test_a_run_is_not_overwritten(tmp_path, make_model, token_sets):
    train(tmp_path, make_model(), token_sets, epochs=1)
    with pytest.raises(ValueError, match="holds a run already: resume it, or choose another folder"):
        RunFolder(tmp_path)


def test_wrong_run_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no run to resume in .*: last\.safetensors is missing"):
        RunFolder(tmp_path, resume=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="the run's folder must be a folder, there is a file at"):
        RunFolder(tmp_path / "file")
    (tmp_path / "last.safetensors").write_text("no checkpoint")
    with pytest.raises(ValueError, match=r"last\.safetensors is damaged, or no checkpoint of segaug"):
        RunFolder(tmp_path, resume=True)


def test_tokens_that_do_not_fit_in_memory_train_the_same(tmp_path, make_model, token_sets):
    train(tmp_path / "memory", make_model(), token_sets)
    on_disk = [load_tokens(tokens.source, memory_limit=0) for tokens in token_sets]
    assert not any(tokens.in_memory for tokens in on_disk)
    for workers in (0, 1):
        train(tmp_path / f"disk{workers}", make_model(), on_disk, workers=workers)
        assert_same_run(tmp_path / f"disk{workers}", tmp_path / "memory")


def test_the_callers_random_state_is_left_alone(tmp_path, make_model, token_sets):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    train(tmp_path, make_model(drop_path_rate=0.5), token_sets, epochs=1)
    assert torch.equal(torch.rand(2), expected)


def test_the_seed_decides_the_run(tmp_path, make_model, token_sets):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(tmp_path / name, make_model(), token_sets, seed=seed, epochs=1)
    assert_same_run(tmp_path / "a", tmp_path / "b")
    assert metrics(tmp_path / "a") != metrics(tmp_path / "c")


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_checkpoint(tmp_path, make_model, token_sets):
    model = make_model()
    torch.nn.init.constant_(model.head.weight, float("nan"))
    with pytest.raises(FloatingPointError, match=r"the loss is nan in epoch 1, step 1: lower lr \(it is 0\.01\)"):
        train(tmp_path, model, token_sets)
    assert not (tmp_path / "last.safetensors").exists()


def test_a_validation_that_is_not_finite_stops_and_keeps_the_last_checkpoint(tmp_path, make_model, token_sets):
    model, evaluations = make_model(), []

    def hook(module, inputs, logits):
        if module.training:
            return logits
        evaluations.append(1)
        return logits * (float("nan") if len(evaluations) == 2 else 1.0)

    model.head.register_forward_hook(hook)
    with pytest.raises(FloatingPointError, match=r"the loss on val is nan after epoch 2: lower lr \(it is 0\.01\)"):
        train(tmp_path, model, token_sets, epochs=3)
    assert [line["epoch"] for line in metrics(tmp_path)] == [1]
    assert "NaN" not in (tmp_path / "metrics.jsonl").read_text()
    assert len(load_checkpoint(tmp_path / "last.safetensors").meta["history"]) == 1


def test_a_model_of_another_number_of_logits_is_refused(tmp_path, token_sets):
    for logits in (3, 9):
        model = SViT(logits, patch_size=8, embed_dim=16, depth=1, num_heads=2)
        with pytest.raises(ValueError, match=f"logit for each of the 4 classes of the data, got {logits} logits"):
            train(tmp_path, model, token_sets)
        with pytest.raises(ValueError, match=f"logit for each of the 4 classes of the data, got {logits} logits"):
            evaluate(model, [(token_sets[1][0][0][None], torch.tensor([1]))], classes=4)
    model.head = torch.nn.Flatten(0)
    with pytest.raises(ValueError, match=r"model must give logits \(B, 4\), got Tensor of shape \(\d+,\)"):
        train(tmp_path, model, token_sets)


def test_a_class_without_images_is_refused_by_name(tmp_path, make_model, make_photos, token_sets):
    held, val = token_sets
    without = [index for index, target in enumerate(held.targets) if target not in (1, 3)]
    fewer = TokenSet(held.source, without, [held.lengths[index] for index in without], None)
    for sets, name in (((fewer, val), "train"), ((held, fewer), "val")):
        with pytest.raises(
            ValueError, match=rf"^{name} must have images of each of its 4 .* none of 'square', 'star'$"
        ):
            train(tmp_path / "run", make_model(), sets)
    for path in (make_photos / "c").iterdir():
        path.write_bytes(b"no image")
    photos = load_tokens(TokenDataset(ImageFolder(make_photos, size=32), Grid(2, 2), Tokenize(size=8)), skip_bad=True)
    with pytest.raises(
        ValueError, match=r"train must have images .* none of 'c'; 2 images were skipped, as they cannot"
    ):
        train(tmp_path / "run", make_model(), (photos, photos))


@pytest.mark.parametrize("workers", [0, 1])
def test_loading_leaves_the_callers_random_state_alone(token_sets, workers):
    before = torch.get_rng_state()
    load_tokens(token_sets[1].source, workers=workers)
    assert torch.equal(torch.get_rng_state(), before)


def test_no_two_draws_share_a_stream(tmp_path, make_model, token_sets, monkeypatch):
    seen = []
    for module in ("training._step", "data._batched_tokens"):

        def counted(*parts, module=module):
            seen.append((parts, module))
            return seeded_stream(*parts)

        monkeypatch.setattr(f"segaug.{module}.seeded_stream", counted)
    recipe = Recipe(image=lambda image: image)
    fit(make_model(), *token_sets, RunFolder(tmp_path), recipe=recipe, **{**OPTIONS, "epochs": 3})
    steps, others = ({parts for parts, module in seen if module.startswith(name)} for name in ("training", "data"))
    assert len(steps) == 9
    assert steps.isdisjoint(others)


def test_the_bar_shows_loss_accuracy_and_speed(tmp_path, make_model, token_sets, capfd, monkeypatch):
    class Eager(tqdm.tqdm):
        def __init__(self, *args, **options):
            super().__init__(*args, **{**options, "mininterval": 0.0, "miniters": 1})

    monkeypatch.setattr("tqdm.tqdm", Eager)
    train(tmp_path, make_model(), token_sets, progress=True, epochs=1)
    printed = capfd.readouterr()
    assert "epoch 1/1: train loss" in printed.out
    for shown in ("epoch 1/1", "loss=", "accuracy=", "images/s="):
        assert shown in printed.err


def test_evaluation_leaves_no_gradients_and_counts_all(make_model, token_sets):
    model = make_model()
    batch = token_sets[1][0][0][None]
    meter = evaluate(model, [(batch, torch.tensor([1])), (batch, torch.tensor([0]))])
    assert meter.images == 2
    assert meter.accuracy in (0.0, 0.5)
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("option", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "epochs must be at least 1, got 0"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"lr": -0.1}, ValueError, r"lr must be at least 0\.0, got -0\.1"),
        ({"lr": "high"}, TypeError, "lr must be a number, got 'high'"),
        ({"warmup": 2}, ValueError, r"warmup must be in \[0\.0, 1\.0\], got 2"),
        ({"label_smoothing": -1}, ValueError, r"label_smoothing must be in \[0\.0, 1\.0\], got -1"),
        ({"clip_norm": 0}, ValueError, "clip_norm must be above 0, got 0"),
        ({"seed": -1}, ValueError, "seed must be at least 0, got -1"),
        ({"workers": -1}, ValueError, "workers must be at least 0, got -1"),
        ({"accumulate": 9}, ValueError, r"accumulate must be at most batch_size \(8\), got 9"),
        ({"draw_groups": 0}, ValueError, "draw_groups must be at least 1, got 0"),
        ({"draw_groups": 7}, ValueError, r"draw_groups does not fit .*: groups must be at most .* \(6\), got 7"),
        ({"evaluate_every": 0}, ValueError, "evaluate_every must be at least 1, got 0"),
        ({"checkpoint_steps": 0}, ValueError, "checkpoint_steps must be at least 1, got 0"),
        ({"ema_decay": 1.0}, ValueError, r"ema_decay must be below 1, got 1\.0"),
        ({"layer_decay": 0}, ValueError, "layer_decay must be above 0, got 0"),
        ({"memory_limit": -1}, ValueError, "memory_limit must be at least 0, got -1"),
        ({"precision": "fp8"}, ValueError, "precision must be one of 'no', 'bf16', 'fp16', got 'fp8'"),
        ({"precision": "fp16"}, ValueError, "precision must be 'no' or 'bf16' on the CPU, got 'fp16'"),
        ({"device": "toaster"}, ValueError, "device must name a device of torch, got 'toaster'"),
    ],
)
def test_bad_arguments(tmp_path, make_model, token_sets, option, error, message):
    with pytest.raises(error, match=message):
        train(tmp_path / "run", make_model(), token_sets, **option)
    assert not (tmp_path / "run").exists()


def test_the_order_of_work_does_not_change_what_is_learnt(tmp_path, make_model, token_sets):
    # The same gradient in parts; and the recipe's draws in three groups, which are another run.
    runs = {"whole": {}, "parts": {"accumulate": 5}, "groups": {"draw_groups": 3}}
    losses = {}
    for name, options in runs.items():
        train(tmp_path / name, make_model(), token_sets, **options)
        losses[name] = [line["train_loss"] for line in metrics(tmp_path / name)]
    assert losses["parts"] == pytest.approx(losses["whole"], abs=1e-5)
    assert losses["parts"] != losses["whole"]
    assert losses["groups"] != pytest.approx(losses["whole"], abs=1e-5)
    train(tmp_path / "both", make_model(), token_sets, draw_groups=3, accumulate=5)
    assert [line["train_loss"] for line in metrics(tmp_path / "both")] == pytest.approx(losses["groups"], abs=1e-5)


def test_half_precision_and_back(tmp_path, make_model, token_sets):
    seen = []
    model = make_model()
    model.blocks[0].attn.qkv.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    forward = type(model).forward
    for precision in ("no", "bf16", "no"):
        train(tmp_path / f"{len(seen)}", model, token_sets, recipe="none", epochs=1, precision=precision)
        seen.append(precision)
    first, second = seen.index("no"), seen.index("bf16")
    assert set(seen[:first]) == set(seen[second + 1 : -1]) == {torch.float32}
    assert torch.bfloat16 in seen[first + 1 : second]
    # The caller's model is as it was: float32 weights, its own forward.
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert model.forward.__func__ is forward


def test_a_callers_accelerator_goes_on(tmp_path, make_model, token_sets):
    theirs = accelerate.Accelerator(cpu=True, mixed_precision="bf16")
    try:
        train(tmp_path, make_model(), token_sets, epochs=1)
        assert theirs.mixed_precision == "bf16"
        assert theirs.state.num_processes == 1
    finally:
        accelerate.state.AcceleratorState._reset_state(True)


def test_epochs_between_evaluations(tmp_path, make_model, token_sets):
    result = train(tmp_path / "run", make_model(), token_sets, epochs=5, evaluate_every=2)
    lines = metrics(tmp_path / "run")
    assert ["val_loss" in line for line in lines] == [False, True, False, True, True]
    assert result["val_accuracy"] == lines[-1]["val_accuracy"]
    assert result["best_val_accuracy"] == max(line.get("val_accuracy", 0) for line in lines)
    every = train(tmp_path / "every", make_model(), token_sets, epochs=5)
    assert every["train_loss"] == result["train_loss"]


def test_a_run_that_ends_early_is_evaluated(tmp_path, make_model, token_sets, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 1)
        with pytest.raises(StoppedError):
            train(tmp_path, make_model(), token_sets, epochs=4, evaluate_every=2)
    (tmp_path / "metrics.jsonl").unlink()
    result = train(tmp_path, make_model(), token_sets, epochs=3, evaluate_every=2, resume=True)
    assert result["epochs"] == 3
    with monkeypatch.context() as patch:
        stop_after(patch, 0)
        with pytest.raises(StoppedError):
            train(tmp_path, make_model(), token_sets, epochs=6, evaluate_every=2, resume=True, checkpoint_steps=1)
    assert metrics(tmp_path)[-1]["epoch"] == 3


def test_mixed_images_with_soft_targets(tmp_path, make_model, token_sets):
    recipe = dataclasses.replace(
        make_recipe("segment"), batch=v2.Compose([SegmentMix(num_classes=4), BackgroundSwap()])
    )
    for workers in (0, 1):
        run = RunFolder(tmp_path / f"{workers}")
        fit(make_model(), *token_sets, run, recipe=recipe, workers=workers, accumulate=3, **OPTIONS)
    assert_same_run(tmp_path / "0", tmp_path / "1")


def test_the_mean_of_weights_is_evaluated_saved_and_resumed(tmp_path, make_model, token_sets, monkeypatch):
    options = {"epochs": 3, "ema_decay": 0.8}
    model = make_model()
    train(tmp_path / "whole", model, token_sets, **options)
    checkpoint = load_checkpoint(tmp_path / "whole" / "last.safetensors")
    assert all(torch.equal(checkpoint.raw[name], value) for name, value in model.state_dict().items())
    assert not torch.equal(checkpoint.model["head.weight"], model.head.weight)
    load_model(model, checkpoint)
    batches = [(tokens[None], torch.tensor([target])) for tokens, target in token_sets[1]]
    measured = evaluate(model, batches)
    assert measured.loss == pytest.approx(metrics(tmp_path / "whole")[-1]["val_loss"], abs=1e-5)
    with monkeypatch.context() as patch:
        stop_after(patch, 1)
        with pytest.raises(StoppedError):
            train(tmp_path / "stopped", make_model(), token_sets, **options)
    train(tmp_path / "stopped", make_model(), token_sets, resume=True, **options)
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")
    stopped = load_checkpoint(tmp_path / "stopped" / "last.safetensors")
    assert all(torch.equal(stopped.raw[name], value) for name, value in checkpoint.raw.items())
    train(tmp_path / "plain", make_model(), token_sets, epochs=3)
    raw = load_checkpoint(tmp_path / "plain" / "last.safetensors").model
    assert all(torch.equal(checkpoint.raw[name], value) for name, value in raw.items())


def test_layers_learn_at_rates_of_their_own(tmp_path, make_model, token_sets):
    start = make_model()
    moved = {}
    for decay in (1.0, 0.01):
        model = make_model()
        train(tmp_path / f"{decay}", model, token_sets, epochs=1, layer_decay=decay, weight_decay=0.0)
        moved[decay] = {
            name: (now - before).abs().mean().item()
            for (name, now), before in zip(model.named_parameters(), start.parameters(), strict=True)
        }
    assert moved[0.01]["patch_embed.proj.weight"] < 0.01 * moved[1.0]["patch_embed.proj.weight"]
    assert moved[0.01]["head.weight"] > 0.5 * moved[1.0]["head.weight"]


def test_a_teacher_is_learnt_from(tmp_path, make_model, token_sets):
    held, _ = token_sets
    # It says the class before the right one.
    wrong = torch.tensor([(target - 1) % 4 for target in held.targets])
    logits = 9.0 * torch.nn.functional.one_hot(wrong, 4).float()
    model = make_model(pool="mean")
    distillation = Distillation(logits, alpha=1.0, hard=True)
    options = {"recipe": "none", "epochs": 25, "lr": 0.02, "distillation": distillation}
    train(tmp_path, model, (held, held), **options)
    model.eval()
    said = torch.cat([model(tokens[None]).argmax(-1) for tokens, _ in held])
    assert (said == wrong).float().mean() > 0.8
    other = Distillation(logits.flip(0), alpha=1.0, hard=True)
    with pytest.raises(ValueError, match="other settings: distillation was"):
        train(tmp_path, model, (held, held), **{**options, "distillation": other}, resume=True)


def test_a_distillation_token(tmp_path, make_model, token_sets):
    distillation = Distillation(torch.rand(20, 4, generator=torch.Generator().manual_seed(0)))
    train(tmp_path / "a", make_model(distillation=True), token_sets, epochs=1, distillation=distillation)
    with pytest.raises(ValueError, match="distillation must be given to train a model that returns two logits"):
        train(tmp_path / "b", make_model(distillation=True), token_sets, epochs=1)


def test_teachers_that_do_not_fit(tmp_path, make_model, token_sets):
    for logits, message in (
        (torch.zeros(20, 1000), "distillation must be from a teacher of the same 4 classes, got 1000"),
        (torch.zeros(12, 4), "distillation must have logits for each of the 20 training images, got 12 rows"),
    ):
        with pytest.raises(ValueError, match=message):
            train(tmp_path, make_model(), token_sets, distillation=Distillation(logits))
    with pytest.raises(ValueError, match="distillation must be None with a recipe that mixes images"):
        fit(
            make_model(), *token_sets, RunFolder(tmp_path), distillation=Distillation(torch.zeros(20, 4)),
            recipe=Recipe(batch=SegmentMix(num_classes=4)), **OPTIONS,
        )  # fmt: skip
    with pytest.raises(TypeError, match="distillation must be a Distillation or None, got"):
        train(tmp_path, make_model(), token_sets, distillation=torch.zeros(20, 4))


def test_data_that_changed_is_not_trained_on(tmp_path, make_model, token_sets):
    train(tmp_path, make_model(), token_sets, epochs=1)
    held, val = token_sets
    other = load_tokens(TokenDataset(SceneImages(Scenes("majority", 20, size=64, seed=5)), None, Tokenize(size=8)))
    for sets, message in (((other, val), "the data of train changed$"), ((held, other), "the data of val changed$")):
        with pytest.raises(ValueError, match=message):
            train(tmp_path, make_model(), sets, epochs=2, resume=True)
    counting = load_tokens(TokenDataset(SceneImages(Scenes("count", 9, size=64)), None, Tokenize(size=8)))
    with pytest.raises(ValueError, match="val must have the classes of train"):
        train(tmp_path / "other", make_model(), (held, counting))


def test_a_gradient_that_is_not_finite_leaves_the_weights(tmp_path, make_model, token_sets):
    class Exploding(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * float("inf")

    model = make_model()
    calls = []

    def hook(module, inputs, output):
        calls.append(1)
        return Exploding.apply(output) if len(calls) > 4 else output

    model.head.register_forward_hook(hook)
    before = None

    def remember(module, inputs):
        nonlocal before
        before = {name: value.clone() for name, value in model.state_dict().items()}

    model.register_forward_pre_hook(remember)
    with pytest.raises(FloatingPointError, match=r"the gradient's norm is (nan|inf) in epoch 1, step 3, .*: lower lr"):
        train(tmp_path, model, token_sets, recipe="none", accumulate=2)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_out_of_memory_says_what_to_lower(tmp_path, make_model, token_sets, error):
    model = make_model()

    def hook(module, inputs):
        raise error

    model.register_forward_pre_hook(hook)
    with pytest.raises(MemoryError, match="lower batch_size or max_segments, or raise accumulate"):
        train(tmp_path, model, token_sets)


def test_memory_that_is_really_not_there(tmp_path, make_model, token_sets):
    model = make_model()
    model.register_forward_pre_hook(lambda module, inputs: torch.empty(2**60, dtype=torch.uint8))
    with pytest.raises(MemoryError, match="lower batch_size or max_segments"):
        train(tmp_path, model, token_sets)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_breaks_is_named(tmp_path, make_model, make_photos, workers):
    images = ImageFolder(make_photos, size=32)
    held = load_tokens(TokenDataset(images, Grid(2, 2), Tokenize(size=8)))
    images.paths[3].write_bytes(b"no image any more")
    with pytest.raises(ValueError, match=rf"^cannot read {re.escape(str(images.paths[3]))} as an image: "):
        train(tmp_path / "run", make_model(), (held, held), recipe="image", memory_limit=0, workers=workers)


def test_loggers_have_every_epoch_once(tmp_path, make_model, token_sets, monkeypatch):
    class Closing(CsvLogger):
        closed = 0

        def close(self):
            self.closed += 1

    logger = Closing(tmp_path / "log.csv")
    with monkeypatch.context() as patch:
        # Killed after the second epoch is logged, before it is in a checkpoint.
        stop_writing(patch, "last.safetensors", 2)
        with pytest.raises(StoppedError):
            train(tmp_path / "run", make_model(), token_sets, loggers=[logger], epochs=3)
    assert logger.closed == 1
    train(tmp_path / "run", make_model(), token_sets, loggers=[CsvLogger(tmp_path / "log.csv")], epochs=3, resume=True)
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["step"], row["epoch"]) for row in rows] == [("3", "1"), ("6", "2"), ("9", "3")]
    assert [float(row["val_loss"]) for row in rows] == [line["val_loss"] for line in metrics(tmp_path / "run")]
    line = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    assert line["grad_norm_max"] >= line["grad_norm"] > 0
    assert line["memory_mib"] > 50
    assert line["cpu_seconds"] > 0
    assert line["tokens_per_second"] > line["images_per_second"] > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu(tmp_path, make_model, token_sets):
    result = train(tmp_path, make_model(pool="mean"), (token_sets[0],) * 2, recipe="none", epochs=25, device="cuda")
    assert result["val_accuracy"] > 0.8
    result = train(tmp_path / "segment", make_model(), token_sets, workers=1, device="cuda")
    assert result["epochs"] == 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_on_a_gpu(tmp_path, make_model, token_sets, precision, monkeypatch):
    options = {"device": "cuda", "precision": precision, "ema_decay": 0.9, "checkpoint_steps": 2, "accumulate": 2}
    with monkeypatch.context() as patch:
        stop_after(patch, 1)
        with pytest.raises(StoppedError):
            train(tmp_path, make_model(), token_sets, **options)
    assert train(tmp_path, make_model(), token_sets, resume=True, **options)["epochs"] == 2
    assert ("skipped_steps" in metrics(tmp_path)[0]) is (precision == "fp16")
    assert metrics(tmp_path)[0]["cuda_memory_mib"] > 0
