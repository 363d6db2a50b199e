"""Progress bars."""

import sys
from collections.abc import Iterable
from typing import Any

from segaug._optional import require

__all__ = ["progress_bar"]


def progress_bar(items: Iterable[Any], title: str, unit: str, *, shown: bool = True) -> Any:
    """Wrap an iterable in a bar on stderr that goes away at the end. Needs the extra ``train``.

    Args:
        items: What to iterate over; it has a length.
        title: What stands in front of the bar.
        unit: What is counted.
        shown: False gives a bar that is never drawn.

    Returns:
        A ``tqdm.tqdm``.

    Raises:
        ImportError: If tqdm is not installed.
    """
    tqdm = require("tqdm", extra="train").tqdm
    # In a log every update is a line, so there are few.
    interval = 0.1 if sys.stderr.isatty() else 20.0
    return tqdm(items, desc=title, unit=unit, leave=False, dynamic_ncols=True, mininterval=interval, disable=not shown)
