"""Run foreign code: with a deadline, with what it prints kept apart, and with its errors told from ours."""

import contextlib
import contextvars
import ctypes
import io
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from segaug.testing._errors import DeadlineExceeded, NotApplicable, TransformFailed

__all__ = ["Finished", "run_guarded"]


@dataclass(frozen=True)
class Finished:
    """What a call returned, and what it wrote to stdout or stderr."""

    value: Any
    printed: str


class _Stopped(BaseException):
    """Raised into a call that is past its deadline; no ``except Exception`` of the foreign code catches it."""


def run_guarded(function: Callable[[], Any], *, name: str, deadline: float | None) -> Finished:
    """Call ``function`` and wait at most ``deadline`` seconds for it; None waits for ever.

    With a deadline the call runs in a thread of its own. One that never returns is stopped at its next Python instruction;
    one that is stuck in C code is left behind, as nothing can stop it.

    Raises:
        TransformFailed: If it raises, or is not back in time. The message starts with ``name``.
    """
    printed = io.StringIO()
    value: list[Any] = []
    error: list[BaseException] = []

    def call() -> None:
        try:
            value.append(function())
        except BaseException as caught:
            error.append(caught)

    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), warnings.catch_warnings():
        # A library's warning is no finding of a property, and must not fill the report.
        warnings.simplefilter("ignore")
        if deadline is None:
            call()
        else:
            _wait(call, name, deadline)
    if error:
        caught = error[0]
        # The kit's own words, from code that runs inside the call; and Ctrl-C. Not SystemExit: it would end the check.
        if isinstance(caught, NotApplicable | TransformFailed | KeyboardInterrupt):
            raise caught
        text = " ".join(str(caught).split())
        raise TransformFailed(f"{name} raised {type(caught).__name__}: {text[:300]}") from caught
    return Finished(value[0], printed.getvalue())


def _wait(call: Callable[[], None], name: str, deadline: float) -> None:
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(call,), daemon=True)
    thread.start()
    thread.join(deadline)
    if thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_Stopped))
        thread.join(0.2)
        raise DeadlineExceeded(f"{name} did not return within the deadline of {deadline:g} s")
