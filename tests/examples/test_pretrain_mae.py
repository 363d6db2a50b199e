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


@pytest.fixture
def no_tokens(monkeypatch):
    """Fail if tokens are made."""
    monkeypatch.setattr("segaug.data.load_tokens", lambda *args, **options: pytest.fail("it is said too late"))


@pytest.fixture
def interrupted(monkeypatch):
    """``interrupted()``: from then on, making tokens is interrupted."""

    def stop(*args, **options):
        raise KeyboardInterrupt

    return lambda: monkeypatch.setattr("segaug.data.load_tokens", stop)


SMALL = ("--scenes", "12", "--size", "64", "--batch-size", "8")


def test_scenes_then_resume_then_load(example, tmp_path, interrupted):
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
    interrupted()
    code, _, error = example("--resume", "run", "--epochs", "3")
    assert (code, error) == (130, "interrupted; --resume run goes on after the last finished epoch\n")


def test_photos_that_nobody_has_sorted(example, tmp_path):
    # Below other folders too, and beside one that is not meant.
    for folder, count in (("photos/sea/2024", 2), ("photos/sea", 2), ("photos/forest", 3)):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            PIL.Image.new("RGB", (40, 30), (60 * i, 90, 10 * len(folder))).save(tmp_path / folder / f"{i}.png")
    small = ("--size", "32", "--batch-size", "4", "--epochs", "1", "--segmenter", "grid:rows=3,cols=3", "--out", "run")
    code, lines, error = example("--data", "photos/sea", *small, "--model-options", "position=mlp,num_registers=2")
    assert code == 0, error
    assert lines[1].startswith("images: 4 images, ")
    # train_svit.py cannot open them.
    assert lines[-2].startswith(
        "fine-tune, with sorted photos in FOLDER/train/CLASS and FOLDER/val/CLASS, with: examples/train_svit.py "
        "--weights run/encoder.safetensors --data FOLDER --segmenter grid:rows=3,cols=3 "
    )
    assert lines[-2].endswith("--model-options position=mlp,num_registers=2")
    code, _, error = example("--resume", "run", "--epochs", "2", "--data", "elsewhere")
    assert code == 2


def test_the_command_has_no_distillation_token_which_is_for_a_teacher(example):
    options = ("--model-options", "distillation=True,pool=cls,position=mlp")
    code, lines, error = example(*SMALL, "--epochs", "1", *options, "--out", "run")
    assert code == 0, error
    assert lines[-2].endswith("--edges soft --model-options pool=cls,position=mlp")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "nowhere"), "error: "),
        (("--segmenter", "nothing"), "segmenter must be one of"),
        (("--segmenter", "true", "--data", "folder"), "--segmenter true is for scenes"),
        (("--mask-ratio", "1"), "--mask-ratio must be above 0 and below 1, got 1.0"),
        (("--mask-ratio", "2"), "--mask-ratio must be above 0 and below 1, got 2.0"),
        (("--model-options", "foo=3"), "a model has the options patch_size, "),
        (("--model-options", "num_classes=3"), "got 'num_classes'"),
        (("--model-options", "patch_size=8"), "patch_size must be 16, as the tokens have it, got 8"),
        (("--model-options", "depth=0"), "depth must be at least 1, got 0"),
        (("--device", "cuda"), "--device cuda needs a GPU"),
        (("--scenes", "0"), "--scenes must be at least 1, got 0"),
        (("--out", "file/sub"), "--out: the run's folder must be a folder, there is a file at file"),
        (("--resume", "nowhere"), "there is no run to resume in nowhere"),
        (("--resume", "run", "--out", "other"), "leave out --out"),
        (("--epochs", "0"), "epochs must be at least 1, got 0"),
    ],
)
@pytest.mark.usefixtures("no_tokens")
def test_bad_input(example, arguments, message, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "folder" / "0.png")
    code, _, error = example(*(() if "--resume" in arguments else SMALL), *arguments)
    assert code == 2
    lines = [line for line in error.splitlines() if "error:" in line]
    assert len(lines) == 1
    assert message in lines[0]
    assert "Traceback" not in error


@pytest.mark.usefixtures("no_tokens")
def test_several_processes_need_a_folder(example, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    code, _, error = example(*SMALL)
    assert (code, "--out must be given with several processes, there are 2" in error) == (2, True)


@pytest.mark.parametrize(("rank", "printed"), [("0", ["run: run"]), ("1", [])])
def test_one_of_several_processes_prints(example, monkeypatch, interrupted, rank, printed):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", rank)
    interrupted()
    code, lines, error = example(*SMALL, "--out", "run")
    assert (code, lines, bool(error)) == (130, printed, rank == "0")


def test_an_interrupt_before_the_first_checkpoint(example, interrupted):
    interrupted()
    code, _, error = example(*SMALL)
    assert (code, error) == (130, "interrupted; nothing was saved yet to go on from\n")


def test_help(example):
    code, lines, _ = example("--help")
    assert code == 0
    assert any("--weights" in line for line in lines)
