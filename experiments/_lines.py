"""Results as lines of a small CSV file."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["append_line", "read_lines"]


def read_lines(path: Path) -> list[dict[str, str]]:
    """All lines so far; none if there is no file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def append_line(path: Path, line: Mapping[str, Any]) -> None:
    """Add a line, and a header to a new file."""
    path.parent.mkdir(exist_ok=True)
    is_new = not path.exists()
    # One short write at the end of the file: two tables may run at once.
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(line), lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(line)
