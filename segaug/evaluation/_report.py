"""An evaluation as text, tables and pictures."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segaug._files import check_folder, write_atomically
from segaug.evaluation._evaluate import Evaluation
from segaug.evaluation._plots import draw_confusion, draw_reliability, shorten

__all__ = ["format_evaluation", "write_evaluation"]

# Of more classes only the worst are shown.
_MOST_ROWS = 30


def format_evaluation(evaluation: Evaluation) -> str:
    """Write an evaluation as tables of at most 100 columns, but for long paths.

    Args:
        evaluation: What was measured.

    Returns:
        The text, without a newline at its end.
    """
    scores = evaluation.scores
    blocks = [
        [
            f"run    {evaluation.run} ({evaluation.checkpoint}, epoch {evaluation.epoch})",
            f"data   {evaluation.data}: {scores.images} images, {evaluation.mean_tokens:.1f} tokens each",
        ],
        _summary(evaluation),
        _class_table(evaluation),
    ]
    if evaluation.skipped:
        more = ", ..." if len(evaluation.skipped) > 1 else ""
        blocks[0].append(f"       {len(evaluation.skipped)} images skipped ({evaluation.skipped[0]}{more})")
    if evaluation.corruptions:
        blocks.append(_corruption_table(evaluation))
    return "\n\n".join("\n".join(lines) for lines in blocks)


def write_evaluation(evaluation: Evaluation, folder: str | Path) -> list[Path]:
    """Write ``metrics.json``, ``per_class.csv``, ``corruptions.csv``, ``confusion.png`` and ``reliability.png``.

    Every file is complete or absent. ``corruptions.csv`` is written only if there were corruptions; one of an evaluation
    before this is removed otherwise.

    Args:
        evaluation: What was measured.
        folder: Where to; made if it is missing.

    Returns:
        The files.

    Raises:
        ValueError: If ``folder`` is a file.
        OSError: If a file cannot be written.
    """
    folder = Path(folder)
    check_folder("out", folder)
    scores = evaluation.scores
    content = {
        "metrics.json": (json.dumps(evaluation.to_dict(), indent=1, allow_nan=False) + "\n").encode(),
        "per_class.csv": _csv(
            ("class", "images", "precision", "recall", "f1", "average_precision"),
            [(row.name, row.support, row.precision, row.recall, row.f1, row.average_precision)
             for row in scores.per_class],
        ),
        "confusion.png": draw_confusion(scores.confusion, [row.name for row in scores.per_class]),
        "reliability.png": draw_reliability(scores.bins, scores.calibration_error),
    }  # fmt: skip
    if evaluation.corruptions:
        content["corruptions.csv"] = _csv(
            ("corruption", "severity", "accuracy", "negative_log_likelihood", "mean_tokens"),
            [(line.corruption, line.severity, line.accuracy, line.negative_log_likelihood, line.mean_tokens)
             for line in evaluation.corruptions],
        )  # fmt: skip
    for name, data in content.items():
        write_atomically(folder / name, data)
    if "corruptions.csv" not in content:
        (folder / "corruptions.csv").unlink(missing_ok=True)
    return [folder / name for name in content]


def _summary(evaluation: Evaluation) -> list[str]:
    scores = evaluation.scores
    rows: list[tuple[str, float | None]] = [
        ("accuracy", scores.accuracy),
        ("top-5 accuracy", scores.top5_accuracy),
        ("mAP (mean average precision)", scores.mean_average_precision),
        ("negative log likelihood, nats", scores.negative_log_likelihood),
        ("expected calibration error", scores.calibration_error),
    ]
    lines = [f"{name:<32}{value:>8.3f}" for name, value in rows if value is not None]
    lines += ["", f"{'':<32}{'precision':>10}{'recall':>10}{'F1':>10}"]
    averages: list[tuple[str, Any]] = [("macro", scores.macro), ("micro", scores.micro)]
    if evaluation.hierarchy is not None:
        averages.append(("hierarchical", evaluation.hierarchy))
    return lines + [f"{name:<32}{row.precision:>10.3f}{row.recall:>10.3f}{row.f1:>10.3f}" for name, row in averages]


def _class_table(evaluation: Evaluation) -> list[str]:
    rows = evaluation.scores.per_class
    shown = rows
    lines = [f"{'class':<32}{'precision':>10}{'recall':>10}{'F1':>10}{'AP':>10}{'images':>10}"]
    if len(rows) > _MOST_ROWS:
        shown = sorted((row for row in rows if row.support), key=lambda row: row.f1 or 0.0)[:_MOST_ROWS]
    for row in shown:
        values = "".join(_cell(value) for value in (row.precision, row.recall, row.f1, row.average_precision))
        lines.append(f"{shorten(row.name, 31):<32}{values}{row.support:>10}")
    if len(shown) < len(rows):
        lines.append(f"(of {len(rows)} classes the {len(shown)} with the lowest F1; --out writes all)")
    return lines


def _corruption_table(evaluation: Evaluation) -> list[str]:
    cells = {(line.corruption, line.severity): line.accuracy for line in evaluation.corruptions}
    names = list(dict.fromkeys(name for name, _ in cells))
    severities = list(dict.fromkeys(severity for _, severity in cells))
    lines = [
        f"{'accuracy under corruption':<32}" + "".join(f"{severity:>10}" for severity in severities) + f"{'mean':>10}"
    ]

    def row(title: str, values: Sequence[float]) -> str:
        return f"{title:<32}" + "".join(_cell(value) for value in (*values, sum(values) / len(values)))

    lines += [row(name, [cells[name, severity] for severity in severities]) for name in names]
    if len(names) > 1:
        means = [sum(cells[name, severity] for name in names) / len(names) for severity in severities]
        lines.append(row("mean", means))
    return lines


def _cell(value: float | None) -> str:
    return f"{'-':>10}" if value is None else f"{value:>10.3f}"


def _csv(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([header, *rows])
    return text.getvalue().encode()
