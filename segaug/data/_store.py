"""A folder of tensors that were expensive to make, kept between runs."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from segaug._checks import describe
from segaug._files import write_atomically
from segaug._optional import require

__all__ = ["StoreCounts", "TokenStore"]

_MAGIC = b"segaug store 1\n"
_DIGEST_BYTES = 32
# Unfinished files older than this belong to a run that was killed.
_ABANDONED_SECONDS = 3600.0


@dataclass
class StoreCounts:
    """What happened to the entries asked for.

    Args:
        found: Read from the store.
        made: Not there, so made and offered to it; those of ``damaged`` too.
        damaged: There, but not usable: cut off, changed, or another entry's content.
        unsaved: Made, but not stored, because writing failed.
        problem: Why writing stopped; empty if it did not stop now.

    Example:
        >>> StoreCounts(found=3) + StoreCounts(made=1)
        StoreCounts(found=3, made=1, damaged=0, unsaved=0, problem='')
    """

    found: int = 0
    made: int = 0
    damaged: int = 0
    unsaved: int = 0
    problem: str = ""

    def __add__(self, other: "StoreCounts") -> "StoreCounts":
        return StoreCounts(
            self.found + other.found,
            self.made + other.made,
            self.damaged + other.damaged,
            self.unsaved + other.unsaved,
            self.problem or other.problem,
        )


class TokenStore:
    """Tensors on disk, each entry under a key that names everything it depends on.

    An entry holds its whole key and a SHA-256 of its content. One that is cut off, changed or of another key is never
    used: it counts as damaged and is made again. Files appear under their name only when they are complete, so several
    processes can share a store, and one that is killed leaves nothing that a later one would read.

    If writing fails (a full disk, a folder without permission), the store notes why, stops writing and goes on
    reading: everything is still made, only not kept.

    Needs the extra ``train`` (safetensors).

    Args:
        folder: Where the entries are; made when the first one is written.

    Attributes:
        folder: As given.
        counts: :class:`StoreCounts` since the store was opened or :meth:`take_counts` was called.

    Raises:
        ValueError: If there is a file at ``folder``.
        ImportError: If safetensors is not installed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = TokenStore(folder)
        ...     key = {"file": "0f3c", "size": 144}
        ...     store.load(key) is None
        ...     store.save(key, {"map": torch.ones(2, 2)})
        ...     store.load(key)
        ...     store.counts
        True
        {'map': tensor([[1., 1.],
                [1., 1.]])}
        StoreCounts(found=1, made=1, damaged=0, unsaved=0, problem='')
    """

    def __init__(self, folder: str | Path) -> None:
        require("safetensors.torch", extra="train")
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"folder must be a folder, there is a file at {self.folder}")
        self.counts = StoreCounts()
        self._writes = True
        self._scratch = self.folder / "unfinished"
        self._remove_abandoned()

    def load(self, key: Mapping[str, Any]) -> dict[str, torch.Tensor] | None:
        """Read an entry.

        Args:
            key: What the entry depends on: a dict that JSON can hold.

        Returns:
            The tensors, on the CPU; None if there is no such entry, or it is damaged.

        Raises:
            TypeError: If JSON cannot hold the key.
        """
        text = _canonical(key)
        try:
            data = self._path(text).read_bytes()
        except FileNotFoundError:
            return None
        except OSError:
            self.counts.damaged += 1
            return None
        tensors = _unpack(data, text)
        if tensors is None:
            self.counts.damaged += 1
        else:
            self.counts.found += 1
        return tensors

    def save(self, key: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
        """Write an entry, in place of any that is there. Never raises for a disk that does not take it.

        Args:
            key: As for :meth:`load`.
            tensors: What to keep, on any device.

        Raises:
            TypeError: If JSON cannot hold the key.
        """
        text = _canonical(key)
        self.counts.made += 1
        if self._writes:
            try:
                write_atomically(self._path(text), _pack(tensors, text), scratch=self._scratch)
                return
            except OSError as error:
                self.counts.problem = f"{type(error).__name__}: {error}"
                self.stop_writing()
        self.counts.unsaved += 1

    def take_counts(self) -> StoreCounts:
        """Return the counts and start new ones."""
        taken, self.counts = self.counts, StoreCounts()
        return taken

    def stop_writing(self) -> None:
        """Read only from now on, as after a failure to write."""
        self._writes = False

    def _path(self, text: str) -> Path:
        name = hashlib.sha256(text.encode()).hexdigest()
        # 256 folders, as file systems and people dislike a hundred thousand files in one.
        return self.folder / name[:2] / f"{name[2:]}.segaug"

    def _remove_abandoned(self) -> None:
        try:
            for path in self._scratch.glob("*.tmp"):
                if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                    path.unlink()
        except OSError:
            pass  # Another process was faster, or the store is read-only. The leftovers do no harm.

    def __repr__(self) -> str:
        return f"TokenStore({str(self.folder)!r})"


def _canonical(key: Mapping[str, Any]) -> str:
    try:
        return json.dumps(key, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"key must be a dict that JSON can hold, got {describe(key)}: {error}") from error


def _pack(tensors: Mapping[str, torch.Tensor], key: str) -> bytes:
    safetensors = require("safetensors.torch", extra="train")
    plain = {name: tensor.detach().as_subclass(torch.Tensor).cpu().contiguous() for name, tensor in tensors.items()}
    body: bytes = safetensors.save(plain, metadata={"key": key})
    return _MAGIC + hashlib.sha256(body).digest() + body


def _unpack(data: bytes, key: str) -> dict[str, torch.Tensor] | None:
    safetensors = require("safetensors.torch", extra="train")
    start = len(_MAGIC) + _DIGEST_BYTES
    body = data[start:]
    if not data.startswith(_MAGIC) or data[len(_MAGIC) : start] != hashlib.sha256(body).digest():
        return None
    # The checksum holds, so this is an entry as it was written; is it the one asked for?
    header = json.loads(body[8 : 8 + int.from_bytes(body[:8], "little")])
    if header["__metadata__"]["key"] != key:
        return None
    tensors: dict[str, torch.Tensor] = safetensors.load(body)
    return tensors
