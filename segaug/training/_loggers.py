"""Where the lines of a training go besides its own folder."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from segaug._checks import check_int
from segaug._files import write_atomically
from segaug._optional import require

__all__ = ["CsvLogger", "Logger", "TensorBoardLogger"]


class Logger(Protocol):
    """What :func:`~segaug.training.fit` gives each epoch's line to; it calls it in the main process alone.

    A run that was killed and is resumed does its last epoch again: a logger replaces what it has of that step and later.
    """

    def log(self, line: Mapping[str, Any], step: int) -> None:
        """Take a line of names and values.

        Args:
            line: What was measured; numbers, mostly. Not every line has every name.
            step: Steps of the optimizer so far; each call has a higher one.
        """

    def close(self) -> None:
        """Finish what is not written yet. A later ``log`` goes on where it ended."""


class CsvLogger:
    """A table with a header and a row per line; a value that a line does not have is empty.

    The whole file is written anew each time, so that it is never half of one.

    Args:
        path: The file.

    Raises:
        ValueError: When called, if there is a file that is no such table.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     logger = CsvLogger(Path(folder) / "log.csv")
        ...     logger.log({"loss": 2.5}, 10)
        ...     logger.log({"loss": 1.5, "accuracy": 0.5}, 20)
        ...     print((Path(folder) / "log.csv").read_text().strip())
        step,loss,accuracy
        10,2.5,
        20,1.5,0.5
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lines: list[dict[str, Any]] | None = None

    def log(self, line: Mapping[str, Any], step: int) -> None:
        """Take a line; see :class:`Logger`."""
        check_int("step", step, minimum=0)
        if self._lines is None:
            self._lines = self._read() if self.path.exists() else []
        self._lines = [*(old for old in self._lines if int(old["step"]) < step), {"step": step, **line}]
        text = io.StringIO()
        names = dict.fromkeys(name for line in self._lines for name in line)
        writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._lines)
        write_atomically(self.path, text.getvalue().encode())

    def close(self) -> None:
        """Do nothing, as each line was written at once."""

    def _read(self) -> list[dict[str, Any]]:
        with self.path.open(newline="", encoding="utf-8") as file:
            lines = [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]
        if any(not str(line.get("step", "")).isdigit() for line in lines):
            raise ValueError(f"{self.path} is no log of a CsvLogger: it has no column 'step' of whole numbers")
        return lines


class TensorBoardLogger:
    """Scalars for TensorBoard. Needs the extra ``train`` (tensorboard).

    ``train_loss`` becomes ``train/loss``, ``val_accuracy`` ``val/accuracy``; what is no number is left out.

    Args:
        folder: Where its event files go.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        # Now, and not after the first epoch.
        self._tensorboard = require("torch.utils.tensorboard", extra="train")
        self._writer: Any = None

    def log(self, line: Mapping[str, Any], step: int) -> None:
        """Take a line; see :class:`Logger`."""
        check_int("step", step, minimum=0)
        if self._writer is None:
            # TensorBoard then leaves out what an earlier, killed run wrote for this step and later.
            self._writer = self._tensorboard.SummaryWriter(str(self.folder), purge_step=step)
        for name, value in line.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                split, _, rest = name.partition("_")
                self._writer.add_scalar(f"{split}/{rest}" if split in ("train", "val") else name, value, step)
        self._writer.flush()

    def close(self) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
