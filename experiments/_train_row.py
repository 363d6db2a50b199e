"""Train one row with one seed, as all tables do."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _augmentations import make_recipe_by_name
from _data import load_row_tokens
from _rows import Row
from torch import nn

from segaug.data import TokenSet, seeded_stream
from segaug.models import svit_micro
from segaug.training import RunFolder, fit, load_encoder

__all__ = ["Trained", "model_options", "train_row"]

_PIXEL_STD = 0.225


@dataclass(frozen=True)
class Trained:
    """A training that is over.

    Args:
        model: The model.
        images: What it was trained on.
        lines: The run's log, a line per epoch.
    """

    model: nn.Module
    images: TokenSet
    lines: list[dict[str, Any]]


def model_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """A row's options of ``svit_micro``: pixels are scaled as is usual for a ViT, which svit_micro itself does not."""
    return {"pixel_std": _PIXEL_STD, **options}


def train_row(
    row: Row,
    seed: int,
    folder: Path,
    *,
    photos: Path | None,
    nlvr: Path | None,
    store: Path,
    runs: Path,
    evaluate_every: int | None = None,
) -> Trained:
    """Train, or go on with what was interrupted in ``folder``. None for ``evaluate_every`` evaluates the last epoch alone."""
    train, val = load_row_tokens(
        row.data,
        row.segmenter,
        limit=row.limit,
        seed=seed,
        tokenize=row.tokenize,
        photos=photos,
        nlvr=nlvr,
        store=store,
    )
    options = model_options(row.model)
    if options.get("position") == "table":
        options["num_positions"] = max(train.lengths)
    with seeded_stream(seed):
        model = svit_micro(len(train.classes), **options)
    if row.weights is not None:
        load_encoder(model, runs / "pretraining" / row.weights / "encoder.safetensors")
    fit(
        model,
        train,
        val,
        RunFolder(folder, resume=(folder / "last.safetensors").exists()),
        recipe=make_recipe_by_name(row.augment, size=train.source.images.size, classes=len(train.classes)),
        epochs=row.epochs,
        batch_size=row.batch_size,
        lr=row.lr,
        layer_decay=row.layer_decay,
        seed=seed,
        precision="bf16",
        evaluate_every=row.epochs if evaluate_every is None else evaluate_every,
        settings={"row": row.to_json()},
        progress=False,
    )
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return Trained(model, train, lines)
