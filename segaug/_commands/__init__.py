"""The commands of the command line, one module each."""

from segaug._commands._check import add_check
from segaug._commands._evaluate import add_evaluate
from segaug._commands._preview import add_preview

__all__ = ["add_check", "add_evaluate", "add_preview"]
