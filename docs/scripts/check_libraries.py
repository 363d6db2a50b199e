"""Hold the properties of segaug.testing against torchvision, kornia and albumentations as they are.

One instance of each class, and a few compositions. Every failure becomes a row of docs/data/libraries.csv, and how many
properties held, failed and did not apply to each class a row of docs/data/libraries_counts.csv. docs/concepts/findings.md
shows them as tables, which a test compares with these files, and says by hand what the failures mean.

Run: uv run --extra dev python docs/scripts/check_libraries.py --write
"""

import argparse
import csv
import importlib
import importlib.metadata
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

# Before albumentations is imported: it asks the network for a newer version of itself.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

from segaug.testing import Report, check_augmentation
from segaug.testing.strategies._registry import registered

DATA = Path(__file__).parents[1] / "data"
FAILURES, COUNTS = DATA / "libraries.csv", DATA / "libraries_counts.csv"
PAGE = DATA.parent / "concepts" / "findings.md"
LIBRARIES = ("torchvision", "kornia", "albumentations")
STATUSES = ("held", "failed", "not applicable")
# A row is to be read in a table.
_LONGEST = 160
_SHOWN = 6


def compositions(library: str) -> dict[str, Callable[..., Any]]:
    """What the registry has no sample of: two flips after each other."""
    if library == "torchvision":
        v2 = importlib.import_module("torchvision.transforms.v2")
        return {"Compose of two flips": lambda: v2.Compose([v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()])}
    if library == "kornia":
        k = importlib.import_module("kornia.augmentation")
        flips = (k.RandomHorizontalFlip, k.RandomVerticalFlip)
        return {
            "AugmentationSequential of two flips": lambda: k.AugmentationSequential(*(flip(p=0.5) for flip in flips))
        }
    a = importlib.import_module("albumentations")
    flips = (a.HorizontalFlip, a.VerticalFlip)
    return {
        "Compose(seed=None) of two flips": lambda: a.Compose([flip(p=0.5) for flip in flips]),
        "Compose(seed=137) of two flips": lambda: a.Compose([flip(p=0.5) for flip in flips], seed=137),
    }


def checked(library: str, names: list[str], max_examples: int, *, shrink: bool) -> Iterator[tuple[str, Report | str]]:
    """The report of each class, or why there is none."""
    made: dict[str, tuple[Callable[..., Any], Any]] = {
        # The sample is a partial of the class, so it can make others, as with p = 0.
        name: (entry.sample, entry.sample)
        for name, entry in registered(library).items()
    }
    made |= {name: (make, None) for name, make in compositions(library).items()}
    for name, (make, factory) in made.items():
        if names and name not in names:
            continue
        with warnings.catch_warnings():
            # Deprecations, and what albumentations says of arguments that it does not know: the reports are what counts.
            warnings.simplefilter("ignore")
            try:
                yield name, check_augmentation(make(), factory=factory, max_examples=max_examples, shrink=shrink)
            except TypeError as error:
                yield name, " ".join(str(error).split())


def trimmed(reason: str) -> str:
    """As much of a reason as a row has room for."""
    return reason if len(reason) <= _LONGEST else f"{reason[: _LONGEST - 4]} ..."


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a file; none if there is no file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(path: Path, head: Sequence[str], library: str, classes: list[str], rows: list[dict[str, Any]]) -> None:
    """Replace the rows of some classes of a library, or of all that it has, in a file, and leave the others."""
    kept = [row for row in read(path) if row["library"] != library or (classes and row["class"] not in classes)]
    places = {name: place for place, name in enumerate([*registered(library), *compositions(library)])}

    def place(row: dict[str, Any]) -> tuple[int, int]:
        # Only the rows of this library are put in order: the others have classes of the same names.
        return LIBRARIES.index(row["library"]), places.get(row["class"], -1) if row["library"] == library else 0

    order = sorted([*kept, *rows], key=place)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, head, lineterminator="\n")
        writer.writeheader()
        writer.writerows(order)


def fill_in(page: str) -> str:
    """Replace what stands on the page between the comments."""
    begin, end = "<!-- libraries: made by a script -->", "<!-- libraries: end -->"
    before, _, rest = page.partition(begin)
    return "\n".join([f"{before}{begin}", "", *tables(), "", f"{end}{rest.partition(end)[2]}"])


def tables() -> list[str]:
    """How many classes there are, and which properties fail for which."""
    failures, counts = read(FAILURES), read(COUNTS)
    lines = [
        "| library | version | classes | held | failed | not applicable |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for library in LIBRARIES:
        rows = [row for row in counts if row["library"] == library]
        sums = [str(sum(int(row[status]) for row in rows)) for status in STATUSES]
        lines.append(f"| {' | '.join([library, rows[0]['version'], str(len(rows)), *sums])} |")
    for library in LIBRARIES:
        lines += ["", f"### {library}", "", "| property | fails for | of them |", "| --- | --- | --- |"]
        found: dict[str, list[str]] = {}
        for row in failures:
            if row["library"] == library:
                found.setdefault(row["property"], []).append(row["class"])
        for name, classes in sorted(found.items(), key=lambda item: -len(item[1])):
            shown = ", ".join(f"`{one}`" for one in classes[:_SHOWN]) + (", ..." if len(classes) > _SHOWN else "")
            lines.append(f"| `{name}` | {len(classes)} | {shown} |")
    return lines


def main() -> None:
    """Check, print as it goes, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="classes to check; all if none is named")
    parser.add_argument("--library", choices=LIBRARIES, action="append", help="one library, or several")
    parser.add_argument("--max-examples", type=int, default=15, help="samples for each property")
    parser.add_argument("--shrink", action="store_true", help="look for the smallest failing samples; slower")
    parser.add_argument("--write", action="store_true", help="write the files, and the tables of the page")
    options = parser.parse_args()
    # segaug logs what it loops, class by class.
    logging.getLogger("segaug").setLevel(logging.ERROR)
    for library in options.library or LIBRARIES:
        version = importlib.metadata.version(library)
        failures: list[dict[str, Any]] = []
        counts: list[dict[str, Any]] = []
        start = time.perf_counter()
        for name, report in checked(library, options.names, options.max_examples, shrink=options.shrink):
            row = {"library": library, "version": version, "class": name}
            if isinstance(report, str):
                print(f"{name}: not checked: {report}", flush=True)
                continue
            print(f"{name}: {report.summary()} ({time.perf_counter() - start:.0f} s)", flush=True)
            counts.append(
                {
                    **row,
                    **dict(zip(STATUSES, map(len, (report.held, report.failed, report.not_applicable)), strict=True)),
                }
            )
            for outcome in report.failed:
                print(f"    {outcome.name}, {outcome.kind}: {outcome.reason}", flush=True)
                shown = {"property": outcome.name, "kind": outcome.kind, "reason": trimmed(outcome.reason)}
                failures.append({**row, **shown})
        if options.write:
            head = ("library", "version", "class")
            write(FAILURES, (*head, "property", "kind", "reason"), library, options.names, failures)
            write(COUNTS, (*head, *STATUSES), library, options.names, counts)
    if options.write:
        PAGE.write_text(fill_in(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
