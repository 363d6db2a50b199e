"""Runs that are killed at any moment, for real."""

import json
import multiprocessing
import os
import random
import signal
import time

import pytest
import torch

from segaug.training import RunFolder, fit, load_checkpoint, make_recipe

pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")

KILLS = 20


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    for name in ("draw_curves", "draw_tokens"):
        monkeypatch.setattr(f"segaug.training._training.{name}", lambda *args, **options: b"picture")


def run(folder, make_model, token_sets):
    fit(
        make_model(drop_path_rate=0.2),
        *token_sets,
        RunFolder(folder, resume=(folder / "last.safetensors").exists()),
        recipe=make_recipe("segment"),
        epochs=4,
        batch_size=5,
        lr=0.01,
        ema_decay=0.9,
        checkpoint_steps=1,
        evaluate_every=2,
        progress=False,
    )


def losses(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    names = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "grad_norm", "grad_norm_max", "lr")
    return [{name: line.get(name) for name in names} for line in lines]


def test_killed_at_twenty_moments_and_resumed_it_ends_with_the_same_weights(tmp_path, make_model, token_sets):
    start = time.perf_counter()
    run(tmp_path / "whole", make_model, token_sets)
    whole = load_checkpoint(tmp_path / "whole" / "last.safetensors")
    seconds = time.perf_counter() - start
    context = multiprocessing.get_context("fork")
    draws = random.Random(0)
    kills = number = 0
    while kills < KILLS:
        folder = tmp_path / f"{number}"
        number += 1
        finished = False
        while not finished:
            process = context.Process(target=run, args=(folder, make_model, token_sets))
            process.start()
            # Up to half a run, so that most runs are killed several times before they end.
            process.join(draws.uniform(0.0, seconds / 2) if kills < KILLS else None)
            if process.is_alive():
                os.kill(process.pid, signal.SIGKILL)
                process.join()
                kills += 1
            else:
                assert process.exitcode == 0
                finished = True
            for path in folder.glob("*.safetensors"):
                load_checkpoint(path)
        last = load_checkpoint(folder / "last.safetensors")
        for part in ("model", "raw"):
            there, here = getattr(whole, part), getattr(last, part)
            assert all(torch.equal(there[name], here[name]) for name in there), part
        for name, state in whole.optimizer.items():
            assert all(torch.equal(state[key], last.optimizer[name][key]) for key in state)
        assert losses(folder) == losses(tmp_path / "whole")
        assert not list(folder.glob(".*"))
