"""The command line: ``segaug preview``, ``segaug evaluate`` and ``segaug check``."""

import argparse
import os
import sys
from collections.abc import Sequence

import segaug
from segaug._commands import add_check, add_evaluate, add_preview

__all__ = ["main"]

_FAILED = 2
# What a shell reports for a program that Ctrl-C ended.
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: What is written behind ``segaug``; None takes it from ``sys.argv``.

    Returns:
        0; 1 if ``check`` found a property that does not hold; 2 if something is wrong with what was asked for: then one
        line on stderr says what; 130 if it was interrupted.

    Example:
        >>> main(["preview", "no_such.jpg", "--out", "sheet.png"])
        2
    """
    options = _parser().parse_args(arguments)
    try:
        status = int(options.run(options))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Whoever reads has had enough, as head has. What is left to print goes nowhere, or closing would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print(f"segaug {options.command}: interrupted", file=sys.stderr)
        return _INTERRUPTED
    # A user's mistake: a wrong value, a file that is missing or unreadable, an extra that is not installed.
    except (ImportError, OSError, TypeError, ValueError) as error:
        print(f"segaug {options.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return _FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="segaug", description="Per-segment augmentation.")
    parser.add_argument("--version", action="version", version=f"segaug {segaug.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_preview(commands)
    add_evaluate(commands)
    add_check(commands)
    return parser
