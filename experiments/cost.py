"""Table "cost": tokens per image, speed, and the time to a given accuracy, with segmentation and without it.

Trains each row once more with an evaluation every other epoch, one row after the other; run it on a quiet machine.
Results are in ``results/cost.csv``.
"""

import argparse
import shutil
import time
from collections.abc import Iterator

import torch
from _base import IMAGE, SEGMENT, svit, vit
from _lines import append_line, read_lines
from _rows import Row
from _table import RESULTS, options
from _train_row import train_row

from segaug.data import open_data, parse_segmenter

COST = RESULTS.parent / "cost.csv"
GOAL = 0.6
ROWS = {
    "ViT, none": vit(),
    "ViT, image-level": vit(IMAGE),
    "S-ViT, none": svit(),
    "S-ViT, per-segment": svit(SEGMENT),
}
_PER_CLASS = 10


def main() -> None:
    """Train what is missing and print the table."""
    args = options(__doc__ or "", ROWS, [0])
    done = {line["row"] for line in read_lines(COST)}
    for name, row in ROWS.items():
        if not args.print and name not in done:
            if args.photos is None:
                raise SystemExit("cost.py needs the photos: --photos FOLDER, with train/CLASS and val/CLASS")
            append_line(COST, {"row": name, **_measure(row, args)})
    print(*cost_lines(), sep="\n")


def _measure(row: Row, args: argparse.Namespace) -> dict[str, object]:
    seconds_per_map = _segmentation(row, args)
    folder = args.runs / "cost" / row.key
    shutil.rmtree(folder, ignore_errors=True)
    done = train_row(row, 0, folder, photos=args.photos, nlvr=None, store=args.store, runs=args.runs, evaluate_every=2)
    train, lines = done.images, done.lines
    reached = [line["epoch"] for line in lines if line.get("val_accuracy", 0.0) >= GOAL]
    speed = sum(line["images_per_second"] for line in lines) / len(lines)
    training = None if not reached else reached[0] * len(train) / speed
    return {
        "tokens": round(train.mean_tokens, 1),
        "images_per_second": round(speed, 1),
        "ms_per_segmentation": round(1e3 * seconds_per_map, 2),
        "epoch_of_goal": reached[0] if reached else "",
        "seconds_to_goal": "" if training is None else round(training, 1),
        # Every image is segmented once, whatever the number of epochs.
        "seconds_to_goal_with_segmentation": ""
        if training is None
        else round(training + len(train) * seconds_per_map, 1),
        "accuracy": round(100 * lines[-1]["val_accuracy"], 2),
    }


def _segmentation(row: Row, args: argparse.Namespace) -> float:
    """Seconds per image."""
    segmenter = parse_segmenter(row.segmenter)
    photos = open_data(args.photos, limit_per_class=_PER_CLASS).train
    images = [photos[i][0] for i in range(len(photos))]
    start = time.perf_counter()
    for image in images:
        segmenter(image)  # type: ignore[operator]
    return (time.perf_counter() - start) / len(images)


def cost_lines() -> Iterator[str]:
    """The table in Markdown."""
    yield (
        f"| row | tokens | images/s in training | segmentation, ms | epochs to {GOAL:.0%} | seconds to it "
        "| with segmentation | accuracy |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for line in read_lines(COST):
        values = [value or "not reached" for value in line.values()]
        yield f"| {' | '.join(values)} |"


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
