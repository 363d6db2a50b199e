"""Writing files so that nobody ever sees half of one."""

import contextlib
import os
import uuid
from pathlib import Path

__all__ = ["check_folder", "write_atomically"]


def check_folder(name: str, path: Path) -> None:
    """Check that a folder is there or can be made, before the work whose results go into it.

    Args:
        name: The argument, for the message.
        path: The folder.

    Raises:
        ValueError: If it, or one above it, is a file or a broken link.
        FileNotFoundError: If nothing above it is there, as on a drive that is missing.
        PermissionError: If it cannot be written, or not be made.
    """
    nearest = next((folder for folder in (path, *path.parents) if os.path.lexists(folder)), None)
    if nearest is None:
        raise FileNotFoundError(f"{name} must be a folder that can be made, nothing above {path} is there")
    if not nearest.is_dir():
        what = "a file" if nearest.exists() else "a broken link"
        raise ValueError(f"{name} must be a folder, there is {what} at {nearest}")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(f"{name} must be a folder that can be written, {nearest} cannot")


def write_atomically(path: Path, data: bytes, *, scratch: Path | None = None, durable: bool = False) -> None:
    """Write ``data`` under another name, then rename: at ``path`` there is the old file or the new one, never a part.

    Args:
        path: Where the file goes; its folder is made if it is missing.
        data: The whole content.
        scratch: Folder for the unfinished file, on the same file system; the target's own folder if None.
        durable: Whether to wait until the content is on the disk before it is renamed, so that this holds even where the
            power fails. It takes milliseconds.

    Raises:
        OSError: If it cannot be written. Then what was there before is still there, and the unfinished file is gone.
    """
    folder = path.parent if scratch is None else scratch
    for needed in (path.parent, folder):
        needed.mkdir(parents=True, exist_ok=True)
    # A name of its own for every writer: several processes may write the same file at once.
    unfinished = folder / f".{path.name}.{uuid.uuid4().hex}.tmp"
    try:
        unfinished.write_bytes(data)
        if durable:
            with unfinished.open("r+b") as file:
                os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        if isinstance(error, OSError) and error.filename is None:
            # A full disk names no file.
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
