import json
import shutil

import pytest
import torch

from segaug import models
from segaug.evaluation import evaluate_run, load_run, open_images, predict
from segaug.training import load_checkpoint, save_checkpoint


def rewritten(run_folder, tmp_path, **changes):
    """A copy of the run with other settings; None removes one."""
    settings = {**load_checkpoint(run_folder / "best.safetensors").meta["settings"], **changes}
    settings = {name: value for name, value in settings.items() if value is not None}
    save_checkpoint(tmp_path / "best.safetensors", models.svit_micro(3), meta={"settings": settings, "history": []})
    return tmp_path


@pytest.mark.parametrize("which", ["best", "last"])
def test_accuracy_is_that_of_the_training(run_folder, which):
    lines = [json.loads(line) for line in (run_folder / "metrics.jsonl").read_text().splitlines()]
    run = load_run(run_folder, which)
    evaluation = evaluate_run(run, open_images(run), batch_size=5)
    line = next(line for line in lines if line["epoch"] == run.epoch)
    assert evaluation.scores.accuracy == pytest.approx(line["val_accuracy"])
    assert evaluation.scores.negative_log_likelihood == pytest.approx(line["val_loss"], abs=1e-5)
    if which == "last":
        assert run.epoch == len(lines)
    assert not run.model.training


def test_what_a_run_is(run_folder):
    run = load_run(run_folder)
    assert run.classes == ["blue", "green", "red"]
    assert (run.size, run.tokenize.max_segments, run.which) == (24, 50, "best")
    assert run.segmenter.options["rows"] == 2


def test_fewer_segments_than_in_training(run_folder):
    run = load_run(run_folder, max_segments=2)
    assert run.tokenize.max_segments == 2
    # Two, and the background.
    assert predict(run, open_images(run)).mean_tokens == 3
    with pytest.raises(ValueError, match="max_segments must be at least 1, got 0"):
        load_run(run_folder, max_segments=0)


def test_options_of_the_tokens_and_sizes(run_folder, tmp_path):
    run = load_run(rewritten(run_folder, tmp_path, aspect="keep", edges="hard", size=[16, 32]))
    assert (run.tokenize.aspect, run.tokenize.edges, run.size) == ("keep", "hard", (16, 32))


def test_what_is_left_out_is_as_in_the_example(run_folder, tmp_path):
    settings = {**load_checkpoint(run_folder / "best.safetensors").meta["settings"], "segmenter": None, "size": None}
    for data, segmenter, size in (("scenes:count", None, 96), ("photos", "Felzenszwalb", 144)):
        meta = {"settings": {**settings, "data": data}, "history": []}
        save_checkpoint(tmp_path / "best.safetensors", models.svit_micro(3), meta=meta)
        run = load_run(tmp_path)
        assert (None if run.segmenter is None else type(run.segmenter).__name__) == segmenter
        assert run.size == size


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "resnet50"}, "must be one of svit_.*, got 'resnet50'"),
        ({"model": None, "max_segments": None}, "model, max_segments missing"),
        ({"classes": "abc"}, "must hold the classes' names, got 'abc'"),
        ({"classes": ["a", "b"]}, "is of another model: head"),
        ({"model_options": {"no_such": 1}}, "is of another version: cannot make svit_micro with"),
        ({"edges": "none"}, "is of another version: cannot make its tokens: edges must be"),
        ({"segmenter": "no_such"}, "segmenter must be one of"),
    ],
)
def test_runs_that_cannot_be_made(run_folder, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        load_run(rewritten(run_folder, tmp_path, **changes))


def test_no_run(run_folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no run in .*: best.safetensors is missing"):
        load_run(tmp_path)
    with pytest.raises(ValueError, match="which must be one of 'best', 'last', got 'first'"):
        load_run(run_folder, "first")
    shutil.copy(run_folder / "metrics.jsonl", tmp_path / "best.safetensors")
    with pytest.raises(ValueError, match="is damaged, or no checkpoint of segaug"):
        load_run(tmp_path)
    save_checkpoint(tmp_path / "best.safetensors", torch.nn.Linear(1, 1))
    with pytest.raises(ValueError, match="is no checkpoint of a run: it holds no settings"):
        load_run(tmp_path)


def test_predictions_do_not_depend_on_batches_or_workers(run_folder):
    run = load_run(run_folder)
    images = open_images(run, limit_per_class=2)
    alone, together = predict(run, images, batch_size=1), predict(run, images, batch_size=64, workers=1)
    torch.testing.assert_close(alone.logits, together.logits, atol=1e-5, rtol=0)
    assert torch.equal(alone.targets, together.targets)
    assert alone.mean_tokens == together.mean_tokens == 5
