import json
import runpy
import sys
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from segaug import Tokenize, collate, models
from segaug.data import TokenDataset, open_data
from segaug.evaluation import load_run
from segaug.training import load_checkpoint, load_model, save_checkpoint

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "finetune_lora.py"


@pytest.fixture
def weights(tmp_path):
    """A checkpoint of a model for five classes."""
    torch.manual_seed(0)
    path = tmp_path / "weights.safetensors"
    save_checkpoint(path, models.svit_micro(5))
    return path


@pytest.fixture
def example(tmp_path, monkeypatch, capsys):
    """``example(*arguments)``: run the example as a program; gives its exit code, lines and what it said."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", [str(EXAMPLE), *map(str, arguments)])
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
        return segaug.data._sources.open_data(*args, num_scenes=(num_scenes[0], 8), **options)

    monkeypatch.setattr("segaug.data.open_data", open_data)


@pytest.mark.usefixtures("few_scenes")
def test_the_model_has_the_runs_options(example, tmp_path):
    options = {"pixel_mean": 0.4, "num_heads": 8}
    save_checkpoint(
        tmp_path / "run.safetensors", models.svit_micro(5, **options), meta={"settings": {"model_options": options}}
    )
    code, _, err = example("run.safetensors", "--data", "scenes:relation", "--scenes", 4, "--epochs", 1, "--out", "run")
    assert code == 0, err
    saved = load_checkpoint(tmp_path / "run" / "merged" / "best.safetensors").meta["encoder"]
    assert (saved["pixel_mean"], saved["num_heads"]) == ([0.4], 8)


@pytest.mark.usefixtures("few_scenes")
@pytest.mark.parametrize("size", [64, None])
def test_the_tokens_are_made_as_in_the_run(example, tmp_path, monkeypatch, size):
    made = []

    class Recorded(TokenDataset):
        def __init__(self, images, segmenter, tokenize):
            super().__init__(images, segmenter, tokenize)
            made.append((images.size, tokenize.max_segments, tokenize.aspect, tokenize.edges))

    monkeypatch.setattr("segaug.data.TokenDataset", Recorded)
    options = {"max_segments": 3, "aspect": "keep", "edges": "hard"}
    settings = {**options, "data": "photos", "size": size, "segmenter": None}
    save_checkpoint(tmp_path / "run.safetensors", models.svit_micro(5), meta={"settings": settings})
    code, out, err = example(
        "run.safetensors", "--data", "scenes:relation", "--scenes", 4, "--epochs", 1, "--out", "run"
    )
    assert code == 0, err
    # Without a size, that of photos.
    side = size or 144
    assert made == [(side, 3, "keep", "hard")] * 2
    assert out[:2] == [
        f"as in the checkpoint's run: size={side}, max_segments=3, aspect=keep, edges=hard",
        "other than in the checkpoint's run, which had those of felzenszwalb: the scenes' own segments",
    ]
    for name in ("last", "merged/best"):
        saved = load_checkpoint(tmp_path / "run" / f"{name}.safetensors").meta["settings"]
        assert saved.items() >= {**options, "size": side, "segmenter": "true", "data": "scenes:relation"}.items()


def test_an_interrupt_is_one_line(example, weights, monkeypatch):
    def interrupted(dataset):
        raise KeyboardInterrupt

    monkeypatch.setattr("segaug.data.load_tokens", interrupted)
    code, _, err = example(weights, "--scenes", 4)
    assert (code, err) == (130, "interrupted\n")


@pytest.mark.usefixtures("few_scenes")
def test_learns_little_and_gives_a_plain_model(example, weights, tmp_path):
    code, out, err = example(
        weights,
        "--data",
        "scenes:relation",
        "--scenes",
        16,
        "--epochs",
        1,
        "--batch-size",
        8,
        "--rank",
        4,
        "--out",
        "run",
    )
    assert code == 0, err
    # The checkpoint is of no run, so nothing is said about one.
    assert not any("checkpoint's run" in line for line in out)
    found = json.loads(out[-1])
    assert 0 <= found["val_accuracy"] <= 1

    # A plain model of the task's classes takes the merged weights, which differ from those before in what LoRA reaches.
    data = open_data("scenes:relation", num_scenes=(4, 4))
    merged = models.svit_micro(len(data.val.classes)).eval()
    load_model(merged, load_checkpoint(tmp_path / "run" / "merged" / "best.safetensors"))
    before = load_checkpoint(weights).model
    changed = {name for name, value in merged.state_dict().items() if not torch.equal(value, before[name])}
    assert {"blocks.0.attn.qkv.weight", "blocks.3.mlp.fc2.weight", "patch_embed.proj.weight", "head.weight"} <= changed
    assert not any("norm" in name for name in changed)

    # LoRA by hand: the weight, plus B A times alpha over rank.
    best = load_checkpoint(tmp_path / "run" / "best.safetensors").model
    layer = "base_model.model.blocks.1.attn.qkv"
    product = best[f"{layer}.lora_B.default.weight"] @ best[f"{layer}.lora_A.default.weight"]
    assert_close(merged.blocks[1].attn.qkv.weight, best[f"{layer}.base_layer.weight"] + 2 * product, atol=1e-6, rtol=0)
    assert found["parameters_learning"] < sum(p.numel() for p in merged.parameters()) / 4
    tokens = collate([TokenDataset(data.val, None, Tokenize())[0][0]])
    assert merged(tokens).shape == (1, len(data.val.classes))

    # A run that can be evaluated; the one with LoRA's matrices says where it is.
    run = load_run(tmp_path / "run" / "merged")
    assert (run.epoch, run.size, run.classes) == (1, 96, data.val.classes)
    assert torch.equal(run.model(tokens), merged(tokens))
    with pytest.raises(ValueError, match=r"holds LoRA's matrices .*: merge them .*, into .*merged\)"):
        load_run(tmp_path / "run")


def test_wrong_arguments(example, weights, tmp_path, monkeypatch):
    monkeypatch.setattr("segaug.data.load_tokens", lambda dataset: pytest.fail("it is said too late"))
    for option, value, message in (
        ("--rank", 0, "--rank must be at least 1, got 0"),
        ("--lr", -1, "lr must be at least 0.0, got -1.0"),
        ("--workers", -1, "--workers must be at least 0, got -1"),
        ("--size", 32, "size must be at least 64, got 32"),
    ):
        code, _, err = example(weights, option, value)
        assert (code, message in err) == (2, True), err
    code, _, err = example(tmp_path / "none.safetensors", "--scenes", 4)
    assert (code, "there is no checkpoint" in err) == (2, True)
    code, _, err = example(weights, "--model", "svit_tiny", "--scenes", 4)
    assert (code, "another encoder" in err) == (2, True)
    (tmp_path / "file").write_text("")
    code, _, err = example(weights, "--scenes", 4, "--out", "file")
    assert (code, "there is a file at file" in err) == (2, True)


def test_help(example):
    code, out, _ = example("--help")
    assert code == 0
    assert any("--rank" in line for line in out)
