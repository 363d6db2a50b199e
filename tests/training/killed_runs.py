"""Runs that are killed at any moment, for real. ``python killed_runs.py FOLDER`` kills 20 and compares what they end with.

A program of its own: it forks, which is safe only where no other thread was ever started.
"""

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from segaug import Tokenize
from segaug.data import SceneImages, Scenes, TokenDataset, TokenSet, load_tokens, seeded_stream
from segaug.models import SViT
from segaug.training import RunFolder, _training, fit, load_checkpoint, make_recipe

KILLS = 20


def make_tokens(n: int, seed: int) -> TokenSet:
    """Tokens of a few scenes."""
    images = SceneImages(Scenes("majority", n, size=64, seed=seed))
    return load_tokens(TokenDataset(images, None, Tokenize(size=8)))


def run(folder: Path, token_sets: tuple[TokenSet, TokenSet]) -> None:
    """Start the run in a folder, or go on with it."""
    with seeded_stream(0):
        model = SViT(4, patch_size=8, embed_dim=16, depth=2, num_heads=2, drop_path_rate=0.2)
    fit(
        model,
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


def losses(folder: Path) -> list[dict[str, float]]:
    """What does not depend on the clock in the run's log."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    names = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "grad_norm", "grad_norm_max", "lr")
    return [{name: line.get(name) for name in names} for line in lines]


def compare(folder: Path, whole: Path) -> None:
    """Raise unless two runs ended alike."""
    here, there = (load_checkpoint(path / "last.safetensors") for path in (folder, whole))
    for part in ("model", "raw"):
        mine, other = getattr(here, part), getattr(there, part)
        assert mine.keys() == other.keys()
        assert all(torch.equal(mine[name], other[name]) for name in other), part
    assert here.optimizer.keys() == there.optimizer.keys()
    for name, state in there.optimizer.items():
        assert all(torch.equal(state[key], here.optimizer[name][key]) for key in state), name
    assert losses(folder) == losses(whole)
    assert not list(folder.glob(".*")), "unfinished files are left"


def main(root: Path) -> int:
    """Kill runs, go on with them, and return the number of kills."""
    torch.set_num_threads(1)
    for name in ("draw_curves", "draw_tokens"):
        # Pictures take longer than the training.
        setattr(_training, name, lambda *args, **options: b"picture")
    token_sets = make_tokens(20, 0), make_tokens(12, 2)
    start = time.perf_counter()
    run(root / "whole", token_sets)
    seconds = time.perf_counter() - start
    context = multiprocessing.get_context("fork")
    draws = random.Random(0)
    kills = number = 0
    while kills < KILLS:
        folder = root / f"{number}"
        number += 1
        finished = False
        while not finished:
            process = context.Process(target=run, args=(folder, token_sets))
            process.start()
            # Up to half a run, so that most runs are killed several times before they end.
            process.join(draws.uniform(0.0, seconds / 2) if kills < KILLS else None)
            if process.is_alive():
                os.kill(process.pid, signal.SIGKILL)
                process.join()
                kills += 1
            else:
                assert process.exitcode == 0, process.exitcode
                finished = True
            for path in folder.glob("*.safetensors"):
                load_checkpoint(path)
        compare(folder, root / "whole")
    return kills


if __name__ == "__main__":
    print(main(Path(sys.argv[1])))
