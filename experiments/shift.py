"""Table "shift": the models of the low-data table under corruptions, and scenes with the objects' size and place changed.

The photos' models are those that ``low_data.py`` has left in ``--runs``; only training on scenes is done here. Results
are in ``results/shift.csv``.
"""

import argparse
import statistics
from collections.abc import Iterator
from pathlib import Path

import torch
from _base import IMAGE, SEGMENT, svit, vit
from _lines import append_line, read_lines
from _rows import Row
from _table import RESULTS, options, run_table
from _train_row import model_options

from segaug import Tokenize
from segaug.data import ImageFolder, Images, open_data, parse_segmenter
from segaug.evaluation import CorruptedImages, TrainedRun, predict
from segaug.models import svit_micro
from segaug.training import load_checkpoint, load_model

SHIFT = RESULTS.parent / "shift.csv"
CORRUPTIONS = ("gaussian_noise", "gaussian_blur", "contrast", "jpeg")
SEVERITIES = (1, 3, 5)
IMAGES_PER_CLASS = 30
PHOTOS = {
    "ViT, none": vit(),
    "ViT, image-level": vit(IMAGE),
    "S-ViT, none": svit(),
    "S-ViT, per-segment": svit(SEGMENT),
}
_TASK = "scenes:count,region=left,scale=1.0"
# Trained on objects in the left half, of the usual size.
DRAWN = {
    "ViT": Row(data=_TASK, segmenter="grid:rows=6,cols=6", augment="none", epochs=12),
    "ViT, image-level": Row(data=_TASK, segmenter="grid:rows=6,cols=6", augment=IMAGE, epochs=12),
    "S-ViT": Row(data=_TASK, segmenter="true", augment="none", epochs=12),
    "S-ViT, flip, colour, position": Row(data=_TASK, segmenter="true", augment="flip+color+position", epochs=12),
}
MOVED = {
    "as in training": _TASK,
    "right half": "scenes:count,region=right,scale=1.0",
    "smaller": "scenes:count,region=left,scale=0.7",
}


def main() -> None:
    """Train on scenes, then evaluate all."""
    args = options(__doc__ or "", DRAWN, range(2))
    run_table("shift, scenes", DRAWN, args)
    if not args.print:
        for table, rows in (("photos", PHOTOS), ("scenes", DRAWN)):
            for name, row in rows.items():
                for seed in args.seeds:
                    _evaluate(table, name, row, seed, args)
    print(*shift_lines(), sep="\n")


def _evaluate(table: str, name: str, row: Row, seed: int, args: argparse.Namespace) -> None:
    done = {(line["key"], int(line["seed"]), line["shift"]) for line in read_lines(SHIFT)}
    checkpoint = args.runs / f"{row.key}-{seed}" / "last.safetensors"
    if not checkpoint.exists() or (table == "photos" and args.photos is None):
        print(f"{name}, seed {seed}: left out, there is no {'checkpoint' if args.photos else '--photos'}")
        return
    shifts: dict[str, Images] = {}
    if table == "photos":
        photos = ImageFolder(args.photos / "val", limit_per_class=IMAGES_PER_CLASS)
        shifts["none"] = photos
        for corruption in CORRUPTIONS:
            for severity in SEVERITIES:
                shifts[f"{corruption} {severity}"] = CorruptedImages(photos, corruption, severity)
    else:
        shifts = {title: open_data(data, num_scenes=(1, 1000)).val for title, data in MOVED.items()}
    run = _load(row, checkpoint, next(iter(shifts.values())))
    for title, images in shifts.items():
        if (row.key, seed, title) not in done:
            answers = predict(run, images)
            accuracy = float((answers.logits.argmax(-1) == answers.targets).double().mean())
            line = {"table": table, "row": name, "key": row.key, "seed": seed, "shift": title,
                    "accuracy": round(100 * accuracy, 2), "images": len(answers.targets)}  # fmt: skip
            append_line(SHIFT, line)
            print(f"{name}, seed {seed}, {title}: {line['accuracy']}", flush=True)


def _load(row: Row, path: Path, images: Images) -> TrainedRun:
    model = svit_micro(len(images.classes), **model_options(row.model))
    load_model(model, load_checkpoint(path))
    patches = row.segmenter.startswith("grid")
    return TrainedRun(
        folder=path.parent,
        which="last",
        epoch=row.epochs,
        model=model.eval(),
        classes=list(images.classes),
        segmenter=None if row.segmenter == "true" else parse_segmenter(row.segmenter),
        tokenize=Tokenize(background=not patches, **row.tokenize),
        size=images.size,
        settings={},
    )


def shift_lines() -> Iterator[str]:
    """Both tables in Markdown: mean over the seeds, and over the severities of a corruption."""
    lines = read_lines(SHIFT)
    for table, rows in (("photos", PHOTOS), ("scenes", DRAWN)):
        mine = [line for line in lines if line["table"] == table]
        titles = list(dict.fromkeys(line["shift"].rstrip(" 135") for line in mine))
        if not mine:
            continue
        yield ""
        yield f"| row | seeds | {' | '.join(titles)} |"
        yield "|---|---|" + "---|" * len(titles)
        for name in rows:
            own = [line for line in mine if line["row"] == name]
            if own:
                means = [
                    statistics.mean(float(line["accuracy"]) for line in own if line["shift"].rstrip(" 135") == title)
                    for title in titles
                ]
                seeds = len({line["seed"] for line in own})
                yield f"| {name} | {seeds} | {' | '.join(f'{mean:.1f}' for mean in means)} |"


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
