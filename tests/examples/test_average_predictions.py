import json
import runpy
import sys
from pathlib import Path

import pytest

from segaug import models
from segaug.training import save_checkpoint

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "average_predictions.py"


@pytest.fixture
def run(tmp_path):
    """A run's folder with an untrained model."""
    settings = {"data": "scenes:count", "size": 64, "seed": 0, "segmenter": None, "max_segments": 20}
    options = {"pixel_mean": 0.4, "pool": "cls"}
    classes = [str(number) for number in range(5)]
    meta = {
        "settings": {**settings, "model": "svit_micro", "model_options": options, "classes": classes},
        "history": [],
    }
    save_checkpoint(tmp_path / "run" / "best.safetensors", models.svit_micro(5, **options), meta=meta)
    return tmp_path / "run"


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


def test_one_view_is_the_plain_prediction(monkeypatch, capsys, run):
    _, out, _ = call(monkeypatch, capsys, run, "--views", 1, "--limit", 6)
    found = json.loads(out.splitlines()[-1])
    assert found["accuracy"] == found["accuracy_averaged"]


def test_wrong_arguments(monkeypatch, capsys, run, tmp_path):
    assert call(monkeypatch, capsys, run, "--views", 0)[0] == 2
    code, _, err = call(monkeypatch, capsys, tmp_path / "none")
    assert code == 2
    assert "error:" in err
