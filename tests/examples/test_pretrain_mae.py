import json
import os
import runpy
import sys
from pathlib import Path

import PIL.Image
import pytest

from segaug.models import svit_micro
from segaug.training import load_encoder

pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "pretrain_mae.py"


@pytest.fixture
def example(tmp_path, monkeypatch, capsys):
    """``example(*arguments)``: run the example as a program; gives its exit code, lines and what it said."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_WAIT_POLICY", os.environ.get("OMP_WAIT_POLICY", "PASSIVE"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        few = ("--workers", "0", "--device", "cpu")
        monkeypatch.setattr(sys, "argv", [str(EXAMPLE), *few, *map(str, arguments)])
        code = 0
        try:
            runpy.run_path(str(EXAMPLE), run_name="__main__")
        except SystemExit as error:
            code = error.code
        printed = capsys.readouterr()
        return code, printed.out.splitlines(), printed.err

    return run


SMALL = ("--scenes", "12", "--size", "64", "--batch-size", "8")


def test_scenes_then_resume_then_load(example, tmp_path):
    code, lines, _ = example(*SMALL, "--data", "scenes:majority", "--epochs", "1", "--out", "run", "--seed", "3")
    assert code == 0
    result = json.loads(lines[-1])
    assert (result["epochs"], result["encoder"]) == (1, "run/encoder.safetensors")
    assert lines[-2] == (
        "fine-tune with: examples/train_svit.py --weights run/encoder.safetensors --data scenes:majority "
        "--model svit_micro --size 64 --max-segments 196 --aspect stretch --edges soft"
    )
    left = load_encoder(svit_micro(7), tmp_path / "run" / "encoder.safetensors")
    assert left == ["fc_norm.weight", "fc_norm.bias", "head.weight", "head.bias"]
    code, lines, _ = example("--resume", "run", "--epochs", "2")
    assert (code, json.loads(lines[-1])["epochs"]) == (0, 2)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2]
    code, _, error = example("--resume", "run", "--lr", "0.5")
    assert code == 2
    assert "lr was 0.001 and is 0.5" in error


def test_photos_that_nobody_has_sorted(example, tmp_path):
    (tmp_path / "photos").mkdir()
    for i in range(4):
        PIL.Image.new("RGB", (40, 30), (60 * i, 90, 200 - 50 * i)).save(tmp_path / "photos" / f"{i}.png")
    small = ("--size", "32", "--batch-size", "4", "--epochs", "1", "--segmenter", "grid:rows=3,cols=3", "--out", "run")
    code, lines, error = example("--data", "photos", *small, "--model-options", "position=mlp,num_registers=2")
    assert code == 0, error
    assert lines[-2].endswith("--model-options position=mlp,num_registers=2")
    code, _, error = example("--resume", "run", "--epochs", "2", "--data", "elsewhere")
    assert code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "nowhere"), "error: "),
        (("--segmenter", "nothing"), "segmenter must be one of"),
        (("--mask-ratio", "1"), "mask_ratio must be above 0 and below 1, got 1.0"),
        (("--resume", "nowhere"), "there is no run to resume in nowhere"),
        (("--resume", "run", "--out", "other"), "leave out --out"),
        (("--epochs", "0"), "epochs must be at least 1, got 0"),
    ],
)
def test_bad_input(example, arguments, message):
    code, _, error = example(*(() if "--resume" in arguments else SMALL), *arguments)
    assert code == 2
    assert message in error
    assert "Traceback" not in error


def test_help(example):
    code, lines, _ = example("--help")
    assert code == 0
    assert any("--weights" in line for line in lines)
