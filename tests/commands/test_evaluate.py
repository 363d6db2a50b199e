"""``segaug evaluate``: tables, one JSON object, and one line for what is wrong."""

import json

import PIL.Image
import pytest
import torch

from segaug import models
from segaug.cli import main
from segaug.data import seeded_stream
from segaug.training import save_checkpoint

CLASSES = ["dark", "light"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A run of an untrained model, and photos of its classes."""
    root = tmp_path_factory.mktemp("evaluate")
    for tint, name in enumerate(CLASSES):
        (root / "photos" / name).mkdir(parents=True)
        for i in range(3):
            PIL.Image.new("RGB", (20, 20), (100 * tint + 20 * i,) * 3).save(root / "photos" / name / f"{i}.png")
    with seeded_stream(0):
        model = models.svit_micro(2)
    settings = {
        "data": str(root / "photos"),
        "segmenter": "grid:rows=2,cols=2",
        "model": "svit_micro",
        "size": 16,
        "max_segments": 9,
        "classes": CLASSES,
    }
    save_checkpoint(root / "run" / "best.safetensors", model, meta={"settings": settings, "history": [{}]})
    (root / "tree.json").write_text('{"dark": "tone", "light": "tone"}')
    return root


def evaluate(folders, *arguments):
    return main(["evaluate", str(folders / "run"), "--workers", "0", "--device", "cpu", *map(str, arguments)])


def test_tables_and_files(folders, tmp_path, capsys):
    arguments = ("--corruptions", "jpeg,contrast", "--severities", "1,4-5", "--tree", folders / "tree.json")
    assert evaluate(folders, *arguments, "--out", tmp_path / "out") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    assert lines[0].endswith("(best, epoch 1)")
    assert lines[1].endswith("photos: 6 images, 5.0 tokens each")
    assert next(line for line in lines if line.startswith("accuracy under corruption")).split()[3:] == [
        "1",
        "4",
        "5",
        "mean",
    ]
    assert len(list((tmp_path / "out").iterdir())) == 5
    assert lines[-1].startswith("wrote metrics.json")


def test_json_is_all_that_is_printed(folders, capsys):
    assert evaluate(folders, "--json", "--data", folders / "photos", "--limit-per-class", 2, "--severities", "2") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["scores"]["images"] == 4
    assert result["corruptions"] == []
    assert result["hierarchy"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--checkpoint", "last"], "there is no run in"),
        (["--data", "no_such"], "there is no folder no_such"),
        (["--data", "scenes:count"], "size must be at least 64"),
        (["--corruptions", "fog"], "--corruptions must be all, none or names out of gaussian_noise"),
        (["--severities", "0-3"], "--severities must be numbers from 1 to 5, as in 1-5 or 1,3,5, got '0-3'"),
        (["--severities", "all"], "--severities must be numbers from 1 to 5"),
        (["--severities", "3-1"], "--severities must be numbers from 1 to 5"),
        (["--tree", "no_such.json"], "there is no class tree at no_such.json"),
        (["--batch-size", "0"], "--batch-size must be at least 1, got 0"),
        (["--limit-per-class", "0"], "--limit-per-class must be at least 1, got 0"),
        (["--seed", "-1"], "--seed must be at least 0, got -1"),
    ],
)
def test_what_is_wrong_is_one_line(folders, arguments, message, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert evaluate(folders, *arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("segaug evaluate: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_broken_weights(folders, tmp_path, capsys):
    from segaug.training import load_checkpoint, load_model

    checkpoint = load_checkpoint(folders / "run" / "best.safetensors")
    model = models.svit_micro(2)
    load_model(model, checkpoint)
    with torch.no_grad():
        next(model.parameters()).fill_(torch.nan)
    save_checkpoint(tmp_path / "best.safetensors", model, meta=checkpoint.meta)
    assert main(["evaluate", str(tmp_path), "--workers", "0"]) == 2
    assert "logits must be finite, got NaN" in capsys.readouterr().err


@pytest.mark.parametrize("out", ["file", "file/sub"])
def test_out_is_a_file(folders, tmp_path, capsys, monkeypatch, out):
    monkeypatch.setattr("segaug.evaluation.evaluate_run", lambda *args, **options: pytest.fail("it is said too late"))
    (tmp_path / "file").write_text("")
    assert evaluate(folders, "--out", tmp_path / out) == 2
    assert f"--out must be a folder, there is a file at {tmp_path / 'file'}" in capsys.readouterr().err


def test_tables_are_printed_though_files_cannot_be_written(folders, tmp_path, capsys, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("segaug.evaluation._report.write_atomically", full)
    assert evaluate(folders, "--out", tmp_path / "out") == 2
    printed = capsys.readouterr()
    assert "accuracy  " in printed.out
    assert "No space left on device" in printed.err


def test_files_are_written_though_nobody_reads_the_tables(folders, tmp_path, monkeypatch):
    def closed(*args, **options):
        raise BrokenPipeError

    monkeypatch.setattr("segaug._commands._evaluate.print", closed, raising=False)
    # What main does to stdout then.
    monkeypatch.setattr("segaug.cli.os.dup2", lambda *args: None)
    assert evaluate(folders, "--out", tmp_path / "out") == 0
    assert (tmp_path / "out" / "metrics.json").is_file()
