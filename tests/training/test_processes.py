"""Training in several processes, started by accelerate's launcher."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

from segaug import SegmentMix
from segaug.training import Recipe, RunFolder, fit, load_checkpoint, make_recipe

OPTIONS = {"epochs": 3, "batch_size": 8, "lr": 0.01, "draw_groups": 2, "accumulate": 3, "evaluate_every": 2}
# The first fit is a whole run; in the second one process is killed in the second epoch.
PROGRAM = """
    import os, signal, sys
    import torch
    from segaug import SegmentMix, Tokenize
    from segaug.data import SceneImages, Scenes, TokenDataset, load_tokens, seeded_stream
    from segaug.models import SViT
    from segaug.training import Recipe, RunFolder, fit, make_recipe

    torch.set_num_threads(1)
    sets = [
        load_tokens(TokenDataset(SceneImages(Scenes("majority", n, size=64, seed=seed)), None, Tokenize(size=8)))
        for n, seed in ((20, 0), (12, 2))
    ]

    def train(folder, model):
        recipe = Recipe(tokens=make_recipe("segment").tokens, batch=SegmentMix(num_classes=4))
        fit(model, *sets, RunFolder(folder), recipe=recipe, progress=True, checkpoint_steps=1, **{options})

    def make():
        with seeded_stream(0):
            return SViT(4, patch_size=8, embed_dim=16, depth=2, num_heads=2, drop_path_rate=0.2)

    train("whole", make())
    model = make()
    if os.environ["RANK"] == "1":
        calls = []
        def count(module, inputs):
            calls.append(1)
            # Three parts in each of the first epoch's three steps and in the second's first, then the second of its next.
            if len(calls) == 14:
                os.kill(os.getpid(), signal.SIGKILL)
        model.register_forward_pre_hook(count)
    train("killed", model)
"""


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """What two processes leave behind: the folder, the exit status and what was printed."""
    folder = tmp_path_factory.mktemp("processes")
    (folder / "program.py").write_text(textwrap.dedent(PROGRAM).replace("{options}", repr(OPTIONS)))
    # "--multi_gpu" is the launcher for several processes on one machine, with GPUs or not; fit says device="cpu".
    command = "--multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no program.py"
    done = subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", "--main_process_port", "0", *command.split()],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return folder, done.returncode, done.stdout, done.stderr


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def assert_same_losses(one, other):
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "grad_norm", "lr"):
            assert left.get(name) == pytest.approx(right.get(name), abs=1e-4), name


def train(folder, make_model, token_sets, **options):
    recipe = Recipe(tokens=make_recipe("segment").tokens, batch=SegmentMix(num_classes=4))
    run = RunFolder(folder, resume=(folder / "last.safetensors").exists())
    fit(make_model(drop_path_rate=0.2), *token_sets, run, recipe=recipe, progress=False, **{**OPTIONS, **options})


def test_two_processes_have_the_losses_of_one(tmp_path, make_model, token_sets, outcome):
    folder, _, printed, errors = outcome
    assert (folder / "whole" / "last.safetensors").is_file(), errors
    train(tmp_path, make_model, token_sets)
    assert_same_losses(lines(tmp_path), lines(folder / "whole"))
    assert [line["epoch"] for line in lines(folder / "whole")] == [1, 2, 3]
    # One of them alone prints.
    assert printed.count("epoch 1/3: train loss") == 2
    assert printed.count("epoch 3/3: train loss") == 1


def test_a_process_that_dies_stops_all_and_the_run_goes_on_from_there(tmp_path, make_model, token_sets, outcome):
    folder, status, _, errors = outcome
    assert status != 0, errors
    killed = folder / "killed"
    assert load_checkpoint(killed / "last.safetensors").meta["partial"]["step"] == 1
    assert len(lines(killed)) == 1
    # In one process, as the number of groups is the same.
    train(killed, make_model, token_sets)
    assert_same_losses(lines(killed), lines(folder / "whole"))
    assert not list(killed.glob(".*"))


def test_groups_that_do_not_fit_are_refused(tmp_path, make_model, token_sets):
    train(tmp_path, make_model, token_sets, epochs=1)
    with pytest.raises(ValueError, match=r"other settings: draw_groups was 2 and is 1"):
        train(tmp_path, make_model, token_sets, draw_groups=None)
