"""The folder of a training run."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segaug._files import check_folder, write_atomically
from segaug.training._checkpoint import Checkpoint, load_checkpoint

__all__ = ["RunFolder"]


class RunFolder:
    """What a training leaves behind; every file is complete or absent.

    ``last.safetensors`` (with the optimizer's state, to go on from), ``best.safetensors`` (the model of the best epoch),
    ``metrics.jsonl`` (one line per epoch), ``curves.png`` and ``tokens.png``.

    Args:
        folder: The folder; made when the first file is written.
        resume: Whether to go on with the run that is there.

    Attributes:
        folder: As given.

    Raises:
        FileNotFoundError: If there is no run to resume.
        ValueError: If there is a run and ``resume`` is not set, or ``folder``, or one above it, is a file.
        PermissionError: If nothing can be written there.

    Example:
        >>> RunFolder("no/such/run", resume=True)
        Traceback (most recent call last):
        ...
        FileNotFoundError: there is no run to resume in no/such/run: last.safetensors is missing
    """

    def __init__(self, folder: str | Path, *, resume: bool = False) -> None:
        self.folder = Path(folder)
        check_folder("the run's folder", self.folder)
        if resume and not self.last.is_file():
            raise FileNotFoundError(f"there is no run to resume in {self.folder}: {self.last.name} is missing")
        if not resume and self.last.exists():
            raise ValueError(f"{self.folder} holds a run already: resume it, or choose another folder")
        self.resumed: Checkpoint | None = load_checkpoint(self.last) if resume else None
        if self.resumed is not None and not {"settings", "history"} <= self.resumed.meta.keys():
            raise ValueError(
                f"{self.last} is no checkpoint of a run: it holds no settings and no history to go on from"
            )

    @property
    def last(self) -> Path:
        """The checkpoint to go on from: after the last finished epoch, or later, within the next."""
        return self.folder / "last.safetensors"

    @property
    def best(self) -> Path:
        """The model of the epoch with the highest validation accuracy, the first of several."""
        return self.folder / "best.safetensors"

    @property
    def history(self) -> list[dict[str, Any]]:
        """The finished epochs of the run that is resumed; empty for a new one."""
        return [] if self.resumed is None else list(self.resumed.meta["history"])

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the run that is resumed; empty for a new one."""
        return {} if self.resumed is None else dict(self.resumed.meta["settings"])

    def clean(self) -> None:
        """Remove unfinished files, which a run that was killed while writing has left."""
        for path in self.folder.glob(".*.tmp"):
            path.unlink(missing_ok=True)

    def write_metrics(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Write ``metrics.jsonl``, one line per epoch."""
        # As a whole: a run that was killed between two files then has no line twice, and none too many.
        text = "".join(json.dumps(line) + "\n" for line in history)
        write_atomically(self.folder / "metrics.jsonl", text.encode())

    def write(self, name: str, data: bytes) -> None:
        """Write any other file."""
        write_atomically(self.folder / name, data)
