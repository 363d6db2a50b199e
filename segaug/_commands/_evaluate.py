"""``segaug evaluate``: what a trained run is worth, from the shell."""

import argparse
import json
import os
import sys
from pathlib import Path

from segaug._checks import check_int
from segaug._files import check_folder

__all__ = ["add_evaluate", "run_evaluate"]


def add_evaluate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Enter the command and its options."""
    evaluate = commands.add_parser(
        "evaluate",
        help="evaluate a trained run: per class, calibrated or not, under corruptions, on other data",
        description="Evaluate a run of examples/train_svit.py: scores on average and per class, calibration, a "
        "confusion matrix, hierarchical scores, and accuracy under corruptions.",
    )
    add = evaluate.add_argument
    add("folder", metavar="RUN", type=Path, help="the run's folder")
    add(
        "--data",
        metavar="DATA",
        help="what to evaluate on: a folder with val/CLASS/*.jpg or CLASS/*.jpg, scenes:TASK or another name that "
        "examples/train_svit.py takes; its classes must be among the run's (default: the run's own)",
    )
    add("--checkpoint", choices=("best", "last"), default="best", help="default: %(default)s")
    add("--tree", metavar="FILE", type=Path, help="the classes' tree, as JSON: {child: parent, ...} or nested")
    add("--corruptions", metavar="NAMES", default="none", help="all, none, or names with commas (default: none)")
    add("--severities", metavar="NUMBERS", default="1-5", help="as in 1-5 or 1,3,5 (default: %(default)s)")
    add("--out", metavar="FOLDER", type=Path, help="write tables, metrics and pictures there")
    add("--json", action="store_true", help="print one JSON object instead of tables")
    add("--limit-per-class", metavar="N", type=int, help="evaluate on so many images of each class, chosen by --seed")
    add("--seed", type=int, default=0, help="decides the corruptions' noise, and a limit's images (default: 0)")
    add("--max-segments", metavar="N", type=int, help="segments per image (default: as in training); fewer are faster")
    add("--batch-size", metavar="N", type=int, default=64, help="default: %(default)s")
    add(
        "--workers",
        metavar="N",
        type=int,
        default=min(8, os.cpu_count() or 1),
        help="processes that segment and tokenise (default: %(default)s)",
    )
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: %(default)s")
    add("--skip-bad", action="store_true", help="leave out images that cannot be read, instead of stopping")
    add("--cache", metavar="FOLDER", type=Path, help="keep maps and tokens there for the next time")
    evaluate.set_defaults(run=run_evaluate)


def run_evaluate(options: argparse.Namespace) -> int:
    """Evaluate, write what is asked for, and print the tables."""
    # Here, as it needs an extra that the other commands do not need.
    import torch

    from segaug.data import TokenStore
    from segaug.evaluation import (
        CORRUPTIONS,
        evaluate_run,
        format_evaluation,
        load_class_tree,
        load_run,
        open_images,
        write_evaluation,
    )

    # Before hours of segmenting, and not after.
    for name, minimum in (("batch_size", 1), ("workers", 0), ("seed", 0)):
        check_int(f"--{name.replace('_', '-')}", getattr(options, name), minimum=minimum)
    if options.limit_per_class is not None:
        check_int("--limit-per-class", options.limit_per_class, minimum=1)
    corruptions = _corruptions(options.corruptions, CORRUPTIONS)
    severities = _severities(options.severities)
    if options.out is not None:
        check_folder("--out", options.out)
    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    elif device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda needs a GPU that torch can use; there is none")
    tree = None if options.tree is None else load_class_tree(options.tree)
    run = load_run(options.folder, options.checkpoint, max_segments=options.max_segments)
    evaluation = evaluate_run(
        run,
        open_images(run, options.data, limit_per_class=options.limit_per_class, seed=options.seed),
        data=str(run.settings["data"] if options.data is None else options.data),
        tree=tree,
        corruptions=corruptions,
        severities=severities,
        seed=options.seed,
        batch_size=options.batch_size,
        workers=options.workers,
        device=device,
        store=None if options.cache is None else TokenStore(options.cache),
        skip_bad=options.skip_bad,
        progress=sys.stderr.isatty(),
    )
    written = []
    # A full disk loses the files alone, and a reader that is gone the tables alone.
    try:
        if options.out is not None:
            written = write_evaluation(evaluation, options.out)
    finally:
        print(json.dumps(evaluation.to_dict(), allow_nan=False) if options.json else format_evaluation(evaluation))
    if written and not options.json:
        print(f"\nwrote {', '.join(path.name for path in written)} to {options.out}")
    return 0


def _corruptions(text: str, known: tuple[str, ...]) -> list[str]:
    if text in ("all", "none"):
        return list(known) if text == "all" else []
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise ValueError(f"--corruptions must be all, none or names out of {', '.join(known)}, got {name!r}")
    return list(dict.fromkeys(names))


def _severities(text: str) -> list[int]:
    severities: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        last = last or first
        if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last) <= 5):
            raise ValueError(f"--severities must be numbers from 1 to 5, as in 1-5 or 1,3,5, got {text!r}")
        severities.extend(range(int(first), int(last) + 1))
    return sorted(set(severities))
