import json
import runpy
import sys
from pathlib import Path

import PIL.Image
import pytest

from segaug import models
from segaug.data import TokenDataset
from segaug.training import save_checkpoint

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "average_predictions.py"


@pytest.fixture
def run(tmp_path):
    """A run's folder with an untrained model."""
    return make_run(tmp_path / "run", data="scenes:count", segmenter=None, classes=[str(n) for n in range(5)])


def make_run(folder, *, classes, **settings):
    options = {"pixel_mean": 0.4, "pool": "cls"}
    settings |= {"size": 64, "seed": 0, "max_segments": 20, "model": "svit_micro", "model_options": options}
    meta = {"settings": {**settings, "classes": classes}, "history": []}
    save_checkpoint(folder / "best.safetensors", models.svit_micro(len(classes), **options), meta=meta)
    return folder


@pytest.fixture
def asked(monkeypatch):
    """The classes of the images that are asked for, so segmented, in their order."""
    classes = []

    class Recorded(TokenDataset):
        def __getitem__(self, index):
            tokens, target = super().__getitem__(index)
            classes.append(self.classes[target])
            return tokens, target

    monkeypatch.setattr("segaug.data.TokenDataset", Recorded)
    return classes


def call(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), *map(str, arguments)])
    code = 0
    try:
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    except SystemExit as error:
        code = error.code
    return code, *capsys.readouterr()


def test_averages_over_some_of_the_pictures(monkeypatch, capsys, run):
    code, out, _ = call(monkeypatch, capsys, run, "--views", 3, "--limit", 4)
    assert code == 0
    found = json.loads(out.splitlines()[-1])
    assert found["images"] == 4
    assert 0 <= found["accuracy_averaged"] <= 1
    assert "3 were averaged" in out
    assert "measured on 4 of 1000 validation images" in out


def test_a_limit_chooses_across_classes_and_segments_no_more(monkeypatch, capsys, tmp_path, asked):
    for name in ("dark", "light"):
        (tmp_path / "photos" / "val" / name).mkdir(parents=True)
        for i in range(12):
            color = (20 * i, 200 * (name == "light"), 90)
            PIL.Image.new("RGB", (40, 30), color).save(tmp_path / "photos" / "val" / name / f"{i}.png")
    run = make_run(
        tmp_path / "run", data=str(tmp_path / "photos"), segmenter="grid:rows=2,cols=2", classes=["dark", "light"]
    )
    drawn = []
    for seed in (0, 0, 1):
        code, out, err = call(monkeypatch, capsys, run, "--views", 2, "--limit", 8, "--seed", seed)
        assert code == 0, err
        assert json.loads(out.splitlines()[-1])["images"] == len(asked) == 8
        assert set(asked) == {"dark", "light"}
        drawn.append(list(asked))
        asked.clear()
    assert drawn[0] == drawn[1] != drawn[2]
    code, out, _ = call(monkeypatch, capsys, run, "--views", 1)
    assert "measured on 24 of 24 validation images" in out


def test_an_interrupt_is_one_line(monkeypatch, capsys, run):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("segaug.evaluation.load_run", interrupted)
    assert call(monkeypatch, capsys, run) == (130, "", "interrupted\n")


def test_one_view_is_the_plain_prediction(monkeypatch, capsys, run):
    _, out, _ = call(monkeypatch, capsys, run, "--views", 1, "--limit", 6)
    found = json.loads(out.splitlines()[-1])
    assert found["accuracy"] == found["accuracy_averaged"]


def test_wrong_arguments(monkeypatch, capsys, run, tmp_path):
    code, _, err = call(monkeypatch, capsys, run, "--views", 0)
    assert (code, "--views must be at least 1, got 0" in err) == (2, True)
    code, _, err = call(monkeypatch, capsys, tmp_path / "none")
    assert code == 2
    assert "error:" in err
