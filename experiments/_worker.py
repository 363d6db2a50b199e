"""Train one row with one seed; the last line printed is one JSON object. Called by ``_table``, one process a training."""

import os

# Before torch is loaded: waiting threads sleep, so that trainings beside each other do not slow each other down.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from _rows import Row
from _train_row import train_row


def train(row: Row, seed: int, *, photos: Path | None, nlvr: Path | None, store: Path, runs: Path) -> dict[str, Any]:
    """Train, or go on with what was interrupted, and say how it went."""
    done = train_row(row, seed, runs / f"{row.key}-{seed}", photos=photos, nlvr=nlvr, store=store, runs=runs)
    # Augmentation included; evaluation, and segmentation, which is stored, are not.
    seconds = sum(line["cpu_seconds"] for line in done.lines)
    return {
        # Of the last epoch; picking the best of many would be a choice made on the test set.
        "accuracy": round(100 * done.lines[-1]["val_accuracy"], 2),
        "train_accuracy": round(100 * done.lines[-1]["train_accuracy"], 2),
        "tokens": round(done.images.mean_tokens, 1),
        "images": len(done.images),
        "cpu_minutes": round(seconds / 60, 2),
        "images_per_cpu_second": round(len(done.images) * row.epochs / seconds, 1),
        "parameters": sum(parameter.numel() for parameter in done.model.parameters()),
    }


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("row", help="Row.to_json")
    parser.add_argument("--seed", type=int, required=True)
    for name in ("photos", "nlvr"):
        parser.add_argument(f"--{name}", type=Path)
    for name in ("store", "runs"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    row = Row.from_json(args.row)
    print(json.dumps(train(row, args.seed, photos=args.photos, nlvr=args.nlvr, store=args.store, runs=args.runs)))


if __name__ == "__main__":
    main()
