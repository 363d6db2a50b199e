"""Put the tables into the report: between ``<!-- table NAME -->`` and ``<!-- end -->`` in ``docs/report.md``.

With ``--check`` nothing is written, and the exit status is 1 if a table is not up to date.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import augmentations
import cost
import counting
import low_data
import pretraining
import shift
import tokens
import tuning
from _table import table_lines

from segaug._files import write_atomically

REPORT = Path(__file__).resolve().parents[1] / "docs" / "report.md"
TABLES: dict[str, Callable[[], Iterator[str]]] = {
    "tuning": lambda: table_lines(tuning.ROWS, tuning.SEEDS),
    "low data": lambda: table_lines(low_data.ROWS, low_data.SEEDS),
    "which augmentation": lambda: table_lines(augmentations.ROWS, augmentations.SEEDS, against=augmentations.AGAINST),
    "which tokens": lambda: table_lines(tokens.ROWS, tokens.SEEDS, against=tokens.AGAINST),
    "counting and relations": lambda: table_lines(counting.ROWS, counting.SEEDS),
    "pretraining": lambda: table_lines(pretraining.ROWS, pretraining.SEEDS),
    "shift": shift.shift_lines,
    "cost": cost.cost_lines,
}
_PLACE = re.compile(r"(?<=<!-- table )(?P<name>[a-z ]+)(?P<open> -->\n).*?(?=<!-- end -->)", re.DOTALL)


def fill(text: str) -> str:
    """The report's text with every table made anew."""

    def table(place: re.Match[str]) -> str:
        lines = "\n".join(TABLES[place["name"]]()).strip()
        return f"{place['name']}{place['open']}{lines}\n"

    return _PLACE.sub(table, text)


def main() -> int:
    """Write or check the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    before = REPORT.read_text(encoding="utf-8")
    after = fill(before)
    if args.check:
        return int(before != after)
    write_atomically(REPORT, after.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
