import json
import os
import re
import runpy
import shutil
import sys
from pathlib import Path

import PIL.Image
import pytest
import safetensors.torch
import timm
import torch

from segaug.evaluation import load_run
from segaug.training import load_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "train_svit.py"


@pytest.fixture
def example(tmp_path, monkeypatch, capsys):
    """``example(*arguments)``: run the example as a program; gives its exit code, last line and what it said."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_WAIT_POLICY", os.environ.get("OMP_WAIT_POLICY", "PASSIVE"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        # The smallest of everything; what a test gives comes later and wins.
        small = () if "--resume" in arguments else ("--epochs", "1", "--batch-size", "8", "--scenes", "40")
        few = ("--workers", "0", "--device", "cpu")
        monkeypatch.setattr(sys, "argv", [str(EXAMPLE), *small, *few, *map(str, arguments)])
        code = 0
        try:
            runpy.run_path(str(EXAMPLE), run_name="__main__")
        except SystemExit as error:
            code = error.code
        printed = capsys.readouterr()
        return code, printed.out.splitlines(), printed.err

    return run


@pytest.fixture
def few_scenes(monkeypatch):
    """Validate on few scenes."""
    import segaug.data

    def open_data(*args, num_scenes, **options):
        return segaug.data._sources.open_data(*args, num_scenes=(num_scenes[0], 40), **options)

    monkeypatch.setattr("segaug.data.open_data", open_data)


@pytest.fixture
def photos(tmp_path):
    """A folder of two classes."""
    generator = torch.Generator().manual_seed(0)
    for split in ("train", "val"):
        for name, tint in (("dark", 80), ("light", 170)):
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            for i in range(4):
                blocks = (torch.randint(0, 80, (4, 4, 3), generator=generator) + tint).to(torch.uint8)
                PIL.Image.fromarray(blocks.numpy()).resize((40, 32), PIL.Image.Resampling.NEAREST).save(
                    folder / f"{i}.png"
                )
    return tmp_path / "photos"


@pytest.mark.usefixtures("few_scenes")
def test_with_scenes(example, tmp_path):
    code, lines, _ = example("--size", 64)
    assert code == 0
    result = json.loads(lines[-1])
    assert result.keys() >= {"val_accuracy", "train_loss", "epochs", "images_per_second", "mean_tokens", "run"}
    assert result["epochs"] == 1
    assert 0 <= result["val_accuracy"] <= 1
    assert Path(result["run"]).parent == Path("runs")
    assert Path(result["run"]).name.startswith("scenes-count-")
    assert (tmp_path / result["run"] / "metrics.jsonl").read_text().count("\n") == 1
    assert (tmp_path / "cache" / "segaug").is_dir()


@pytest.mark.parametrize("augment", ["none", "image", "segment", "both"])
def test_with_a_folder_and_from_the_store_the_second_time(example, photos, augment):
    results = []
    for made in (16, 0):
        arguments = ("--data", photos, "--size", 32, "--augment", augment, "--out", f"run{made}")
        code, lines, _ = example(*arguments, "--segmenter", "felzenszwalb:scale=20,min_size=9")
        assert code == 0
        assert [line.endswith(f"{made} made") for line in lines[1:3]] == [True, True]
        results.append(json.loads(lines[-1]))
    for name in ("val_accuracy", "train_loss", "mean_tokens"):
        assert results[0][name] == results[1][name]


def test_segmenters_limits_and_workers(example, photos):
    for segmenter in ("grid:rows=3,cols=3", "voronoi:n=8", "slic:n_segments=9", "watershed:n_segments=9"):
        code, lines, _ = example(
            "--data", photos, "--size", 32, "--segmenter", segmenter, "--limit-per-class", 2, "--max-segments", 5,
            "--workers", 1, "--augment", "none", "--out", segmenter.partition(":")[0],
        )  # fmt: skip
        assert code == 0
        assert lines[1].startswith("train: 4 images, ")
        assert json.loads(lines[-1])["mean_tokens"] <= 6


def test_a_resumed_run_keeps_its_arguments_and_equals_a_whole_one(example, photos):
    arguments = ("--data", photos, "--size", 32, "--segmenter", "grid:rows=3,cols=3", "--lr", 0.002, "--seed", 3)
    code, lines, _ = example(*arguments, "--epochs", 2, "--out", "whole")
    assert code == 0
    whole = json.loads(lines[-1])
    # A run that was killed after its first epoch: what it left is what the whole one had left then.
    stop = pytest.MonkeyPatch()
    with stop.context() as patch:
        from segaug.training import _training

        evaluate, calls = _training.evaluate, []

        def stopped(*args, **options):
            if calls:
                raise KeyboardInterrupt
            calls.append(1)
            return evaluate(*args, **options)

        patch.setattr(_training, "evaluate", stopped)
        code, _, said = example(*arguments, "--epochs", 2, "--out", "stopped")
    assert code == 130
    assert said.endswith("interrupted; --resume stopped goes on from the last checkpoint\n")
    code, lines, _ = example("--resume", "stopped")
    assert code == 0
    resumed = json.loads(lines[-1])
    for name in ("val_accuracy", "train_loss", "epochs", "mean_tokens"):
        assert resumed[name] == whole[name]
    left, right = (load_checkpoint(f"{name}/last.safetensors").model for name in ("whole", "stopped"))
    assert all(torch.equal(left[key], right[key]) for key in left)


def test_an_interrupt_before_the_first_checkpoint(example, photos, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("segaug.data.load_tokens", interrupted)
    code, _, said = example("--data", photos)
    assert (code, said) == (130, "interrupted; nothing was saved yet to go on from\n")


def test_resuming_another_model_or_nothing(example, photos):
    arguments = ("--data", photos, "--size", 32, "--segmenter", "grid", "--lr", 0.001)
    assert example(*arguments, "--out", "run")[0] == 0
    for arguments, message in (
        (("--resume", "run", "--model", "svit_tiny"), "model was 'svit_micro' and is 'svit_tiny'"),
        (("--resume", "run", "--lr", 0.5), "lr was 0.001 and is 0.5"),
        (("--resume", "nowhere"), "there is no run to resume in nowhere: last.safetensors is missing"),
        (("--out", "run", "--data", photos), "run holds a run already: resume it, or choose another folder"),
    ):
        assert_one_line(example(*arguments), message)
    code, _, said = example("--resume", "run", "--out", "other")
    assert code == 2
    assert "leave out --out" in said


def test_bad_images_stop_or_are_skipped(example, photos):
    (photos / "train" / "dark" / "0.png").write_text("no image")
    arguments = ("--data", photos, "--size", 32, "--segmenter", "grid:rows=2,cols=2")
    assert_one_line(example(*arguments), f"cannot read {photos}/train/dark/0.png as an image: ")
    code, lines, _ = example(*arguments, "--skip-bad")
    assert code == 0
    assert "1 images skipped (cannot read" in lines[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "nowhere"), "there is no folder nowhere; expected nowhere/train/CLASS/*.jpg"),
        (("--data", "scenes:counts"), "task must be one of"),
        (("--data", "empty"), "empty has no folder train/"),
        (("--segmenter", "cubes"), "segmenter must be one of"),
        (("--segmenter", "grid:rows=0"), "rows must be at least 1, got 0"),
        (("--data", "photos", "--segmenter", "true"), "--segmenter true is for scenes"),
        (
            ("--data", "photos", "--augment", "image", "--segmenter", "slic+grid"),
            "--segmenter must be one for --augment image, which changes an image and one map, got slic+grid",
        ),
        (("--max-segments", "0"), "--max-segments must be at least 1, got 0"),
        (("--epochs", "0"), "epochs must be at least 1, got 0"),
        (("--size", "-3"), "size must be at least 64, got -3"),
        (("--cache", "file"), "folder must be a folder, there is a file at file"),
        (("--out", "file"), "--out: the run's folder must be a folder, there is a file at file"),
        (("--out", "file/sub"), "--out: the run's folder must be a folder, there is a file at file"),
        (
            ("--vit-weights", "none"),
            "--vit-weights must be a ViT's weights in a safetensors file, got none: No such file",
        ),
        (("--vit-weights", "file"), "--vit-weights must be a ViT's weights in a safetensors file, got file: "),
        (("--vit-weights", "other"), "--vit-weights must be a ViT's weights in a safetensors file, got other: "),
        (("--weights", "none"), "--weights must be a checkpoint that fits the model: there is no checkpoint at none"),
        (("--weights", "file"), "--weights must be a checkpoint that fits the model: file is damaged"),
        (
            ("--weights", "other"),
            "--weights must be a checkpoint that fits the model: other is damaged, or no checkpoint",
        ),
    ],
)
@pytest.mark.usefixtures("few_scenes", "photos")
def test_wrong_arguments_are_one_line(example, tmp_path, monkeypatch, arguments, message):
    monkeypatch.setattr("segaug.data.load_tokens", lambda *args, **options: pytest.fail("it is said too late"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    safetensors.torch.save_file({"weight": torch.zeros(1)}, tmp_path / "other")
    assert_one_line(example(*arguments), message)
    assert not (tmp_path / "runs").exists()


def test_val_is_missing(example, photos):
    shutil.rmtree(photos / "val")
    assert_one_line(example("--data", photos), "photos has no folder val/")


def assert_one_line(outcome, message):
    code, _, said = outcome
    assert code == 2
    lines = [line for line in said.splitlines() if "error:" in line]
    assert len(lines) == 1
    assert message in lines[0]
    assert "Traceback" not in said


@pytest.mark.usefixtures("few_scenes")
def test_mixing_options_and_logs_that_go_on(example, tmp_path):
    small = ("--size", 64, "--mix", 0.5, "--model-options", "pool=cls,num_registers=2", "--evaluate-every", 2)
    code, _, error = example(*small, "--log", "csv", "--out", "run")
    assert code == 0, error
    code, _, error = example("--resume", "run", "--epochs", 2)
    assert code == 0, error
    assert (tmp_path / "run" / "log.csv").read_text().count("\n") == 3
    settings = load_checkpoint(tmp_path / "run" / "last.safetensors").meta["settings"]
    assert (settings["program"], settings["mix"]) == ("train_svit", 0.5)


@pytest.mark.usefixtures("few_scenes")
def test_starts_from_the_weights_of_a_vit(example, tmp_path):
    vit = timm.create_model("vit_tiny_patch16_224", img_size=64, depth=4, embed_dim=128, num_heads=4, num_classes=7)
    safetensors.torch.save_file(vit.state_dict(), tmp_path / "vit.safetensors")
    pixels = ("--model-options", "pixel_mean=(0.485,0.456,0.406),pixel_std=(0.229,0.224,0.225)")
    code, lines, error = example("--size", 64, "--vit-weights", "vit.safetensors", *pixels, "--out", "run")
    assert code == 0, error
    assert any(line.startswith("left out: head.weight, head.bias (7 classes") for line in lines)
    assert any(line.startswith("pixels are normalised with mean (0.485, 0.456, 0.406)") for line in lines)
    # The run keeps them: one option for each channel is a list in its file.
    code, _, error = example("--resume", "run", "--epochs", 2)
    assert code == 0, error
    assert load_run(tmp_path / "run").model.pixel_mean == (0.485, 0.456, 0.406)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model-options", "pol=cls"), "a model has the options patch_size, .* got 'pol'"),
        (("--model-options", "pool"), "options must be OPTION=VALUE with commas between, got 'pool'"),
        (("--weights", "a", "--vit-weights", "b"), "--weights and --vit-weights exclude each other, got both"),
        (("--model-options", "pool=max"), "pool must be one of"),
        (
            ("--model-options", "pool=cls,distillation=True"),
            "distillation must be False, as no option here .* got True",
        ),
        (("--model-options", "patch_size=8"), "patch_size must be 16, the size of the tokens' patches, got 8"),
        (("--model-options", "in_chans=1"), "in_chans must be 3, .* got 1"),
        (("--lr", "-1"), "lr must be at least 0.0, got -1.0"),
        (("--ema-decay", "1"), "ema_decay must be below 1, got 1.0"),
        (("--draw-groups", "0"), "draw_groups must be at least 1, got 0"),
        (("--checkpoint-steps", "0"), "--checkpoint-steps must be at least 1, got 0"),
        (("--mix", "2"), r"--mix must be in \[0, 1\], got 2.0"),
        (("--precision", "fp16", "--device", "cpu"), "--precision must be no or bf16 on the CPU, got fp16"),
    ],
)
def test_wrong_options_are_said_before_anything_is_segmented(example, arguments, message):
    code, lines, error = example(*arguments)
    assert code == 2
    assert re.search(message, error)
    assert not any(line.startswith("train:") for line in lines)


def test_several_processes_need_a_folder(example, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    code, _, error = example()
    assert code == 2
    assert "--out must be given with several processes, there are 2" in error
