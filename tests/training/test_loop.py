import json

import pytest
import torch
import tqdm

from segaug._files import write_atomically
from segaug.data import load_tokens
from segaug.training import RunFolder, evaluate, fit, load_checkpoint, load_model, make_recipe

pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")

OPTIONS = {"epochs": 2, "batch_size": 8, "lr": 0.01, "progress": False}


@pytest.fixture
def real_pictures():
    """Asks for the pictures of a run, which most tests can do without."""


@pytest.fixture(autouse=True)
def _quick(request, monkeypatch):
    if "real_pictures" not in request.fixturenames:
        for name in ("draw_curves", "draw_tokens"):
            monkeypatch.setattr(f"segaug.training._loop.{name}", lambda *args, **options: b"picture")


def train(folder, model, token_sets, *, recipe="segment", resume=False, **options):
    run = RunFolder(folder, resume=resume)
    recipe = make_recipe(recipe, image_size=64, token_size=8)
    return fit(model, *token_sets, run, recipe=recipe, **{**OPTIONS, **options})


def metrics(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [
        {key: value for key, value in line.items() if key not in ("seconds", "images_per_second")} for line in lines
    ]


def assert_same_run(one, other):
    assert metrics(one) == metrics(other)
    for name in ("last", "best"):
        left, right = (load_checkpoint(folder / f"{name}.safetensors") for folder in (one, other))
        assert left.model.keys() == right.model.keys()
        assert all(torch.equal(left.model[key], right.model[key]) for key in left.model)
        assert left.optimizer.keys() == right.optimizer.keys()
        for key, state in left.optimizer.items():
            assert all(torch.equal(state[part], right.optimizer[key][part]) for part in state)


class StoppedError(Exception):
    """Stands for a kill."""


def stop_after(monkeypatch, epochs, patched="segaug.training._loop.evaluate"):
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


@pytest.mark.parametrize("name", ["best.safetensors", "last.safetensors", "metrics.jsonl", "curves.png"])
def test_a_run_killed_between_two_files_is_resumed_rightly(tmp_path, make_model, token_sets, monkeypatch, name):
    train(tmp_path / "whole", make_model(), token_sets, recipe="none", epochs=3)
    written = []

    def write(path, data, **options):
        written.append(path.name)
        if written.count("last.safetensors") >= 1 and path.name == name and written.count(name) == 2:
            raise StoppedError
        write_atomically(path, data, **options)

    folder = tmp_path / "killed"
    with monkeypatch.context() as patch:
        for module in ("_checkpoint", "_run_folder"):
            patch.setattr(f"segaug.training.{module}.write_atomically", write)
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
    with pytest.raises(FloatingPointError, match=r"the loss is nan in epoch 1: lower lr \(it is 0\.01\)"):
        train(tmp_path, model, token_sets)
    assert not (tmp_path / "last.safetensors").exists()


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
    ],
)
def test_bad_arguments(tmp_path, make_model, token_sets, option, error, message):
    with pytest.raises(error, match=message):
        train(tmp_path / "run", make_model(), token_sets, **option)
    assert not (tmp_path / "run").exists()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu(tmp_path, make_model, token_sets):
    result = train(tmp_path, make_model(pool="mean"), (token_sets[0],) * 2, recipe="none", epochs=25, device="cuda")
    assert result["val_accuracy"] > 0.8
    result = train(tmp_path / "segment", make_model(), token_sets, workers=1, device="cuda")
    assert result["epochs"] == 2
