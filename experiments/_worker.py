"""Train one row with one seed; the last line printed is one JSON object. Called by ``_table``, one process a training."""

import os

# Before torch is loaded: waiting threads sleep, so that trainings beside each other do not slow each other down.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from _augmentations import make_recipe_by_name
from _data import load_row_tokens
from _rows import Row

from segaug.data import seeded_stream
from segaug.models import svit_micro
from segaug.training import RunFolder, fit, load_encoder


def train(row: Row, seed: int, *, photos: Path | None, nlvr: Path | None, store: Path, runs: Path) -> dict[str, Any]:
    """Train, or go on with what was interrupted, and say how it went."""
    train_set, val_set = load_row_tokens(
        row.data,
        row.segmenter,
        limit=row.limit,
        seed=seed,
        tokenize=row.tokenize,
        photos=photos,
        nlvr=nlvr,
        store=store,
    )
    options = dict(row.model)
    if options.get("position") == "table":
        options["num_positions"] = max(train_set.lengths)
    with seeded_stream(seed):
        model = svit_micro(len(train_set.classes), **options)
    if row.weights is not None:
        load_encoder(model, runs / "pretraining" / row.weights / "encoder.safetensors")
    folder = runs / f"{row.key}-{seed}"
    recipe = make_recipe_by_name(row.augment, size=train_set.source.images.size, classes=len(train_set.classes))
    result = fit(
        model,
        train_set,
        val_set,
        RunFolder(folder, resume=(folder / "last.safetensors").exists()),
        recipe=recipe,
        epochs=row.epochs,
        batch_size=row.batch_size,
        lr=row.lr,
        layer_decay=row.layer_decay,
        seed=seed,
        precision="bf16",
        # Only the last epoch's accuracy is reported; picking the best of many would be a choice made on the test set.
        evaluate_every=row.epochs,
        settings={"row": row.to_json()},
        progress=False,
    )
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    # Augmentation included; evaluation, and segmentation, which is stored, are not.
    seconds = sum(line["cpu_seconds"] for line in lines)
    return {
        "accuracy": round(100 * result["val_accuracy"], 2),
        "train_accuracy": round(100 * lines[-1]["train_accuracy"], 2),
        "tokens": result["mean_tokens"],
        "images": len(train_set),
        "cpu_minutes": round(seconds / 60, 2),
        "images_per_cpu_second": round(len(train_set) * row.epochs / seconds, 1),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
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
