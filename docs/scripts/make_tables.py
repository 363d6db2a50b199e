"""Write into the docs how each transform of torchvision, kornia and albumentations runs in PerSegment.

The tables come from what PerSegment says of an example of each class, and from the figures that
benchmarks/every_transform.py --write left in docs/data/every_transform.csv. A test compares the pages with what this makes.

Run: uv run --extra dev python docs/scripts/make_tables.py
"""

import csv
import logging
import statistics
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from segaug import PerSegment
from segaug.adapters import Support, albumentations_support, kornia_support
from segaug.transforms._engine._samples import SAMPLES, torchvision_classes

DOCS = Path(__file__).parents[1]
FIGURES = DOCS / "data" / "every_transform.csv"
PAGES = {
    "torchvision": DOCS / "concepts" / "supported.md",
    "kornia": DOCS / "concepts" / "kornia_albumentations.md",
    "albumentations": DOCS / "concepts" / "kornia_albumentations.md",
}


def support() -> list[tuple[str, str, str]]:
    """Name, how it runs, and why, of each class of torchvision."""
    rows = []
    for kind in torchvision_classes():
        try:
            parts = PerSegment(SAMPLES[kind]()).lowered
        except TypeError as error:
            rows.append((kind.__name__, "refused", str(error).partition(": ")[2]))
            continue
        loops = [how.partition(": ")[2] for _, how in parts if how != "batched"]
        rows.append((kind.__name__, "looped", loops[0]) if loops else (kind.__name__, "batched", ""))
    return rows


def torchvision_table() -> list[str]:
    """A table for each way that transforms run, the batched ones with their times."""
    with FIGURES.open(newline="", encoding="utf-8") as file:
        figures = {row["class"]: row for row in csv.DictReader(file)}
    rows = support()
    times = [
        [
            f"`{name}`",
            found["batched_ms"],
            found["loop_ms"],
            found["ratio"],
            f"{found['ratio_low']} .. {found['ratio_high']}",
        ]
        for name, how, _ in rows
        if how == "batched" and (found := figures.get(name)) is not None
    ]
    ratios = [float(row["ratio"]) for row in figures.values()]
    lines = [
        "## Batched",
        "",
        f"{sum(how == 'batched' for _, how, _ in rows)} classes. Of their times faster the median is "
        f"{statistics.median(ratios):.1f}, the least {min(ratios):.1f}.",
        "",
        *table(["class", "batched, ms", "loop, ms", "times faster", "quartiles"], times),
    ]
    for title, kind in (("Looped", "looped"), ("Refused", "refused")):
        reasons = [[f"`{name}`", why] for name, how, why in rows if how == kind]
        lines += ["", f"## {title}", "", *table(["class", "why"], reasons)]
    return lines


def other_table(rows: Iterable[Support]) -> list[str]:
    """A table without times."""
    return table(["class", "", "why"], [[f"`{row.name}`", row.how, row.reason] for row in rows])


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Markdown."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


@contextmanager
def quiet(logger: logging.Logger) -> Iterator[None]:
    """Keep what is looped from being logged, class by class."""
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def fill_in(package: str, page: str) -> str:
    """Replace what stands on a page between the comments that name the package."""
    with warnings.catch_warnings(), quiet(logging.getLogger("segaug")):
        # Some classes are deprecated, and say so when they are made.
        warnings.simplefilter("ignore")
        lines = {
            "torchvision": torchvision_table,
            "kornia": lambda: other_table(kornia_support()),
            "albumentations": lambda: other_table(albumentations_support()),
        }[package]()
    begin, end = f"<!-- {package}: made by a script -->", f"<!-- {package}: end -->"
    before, _, rest = page.partition(begin)
    return "\n".join([f"{before}{begin}", "", *lines, "", f"{end}{rest.partition(end)[2]}"])


if __name__ == "__main__":
    for name, path in PAGES.items():
        path.write_text(fill_in(name, path.read_text(encoding="utf-8")), encoding="utf-8")
