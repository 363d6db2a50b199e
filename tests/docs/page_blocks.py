"""The code blocks of a page: found, and run as one program. ``python page_blocks.py PAGE`` runs those of one page."""

import contextlib
import io
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> Iterator[tuple[str, int, str]]:
    """Yield the language, the line it starts on and the text of each fenced block."""
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        yield match[1], text.count("\n", 0, match.start()) + 2, match[2]


def run_page(page: Path, program: types.ModuleType) -> None:
    """Run the blocks of Python in a module; a block of text below one must be what it prints."""
    import torch

    printed = None
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for language, line, text in blocks(page):
            if language == "text" and printed is not None and printed.rstrip() != text.rstrip():
                raise AssertionError(f"{page.name}:{line} must be\n{printed}\nand is\n{text}")
            printed = None
            if language == "python":
                # Blank lines in front, so that a traceback shows the page's line.
                code = compile("\n" * (line - 1) + text, str(page), "exec")
                with contextlib.redirect_stdout(io.StringIO()) as output:
                    exec(code, vars(program))
                printed = output.getvalue()


if __name__ == "__main__":
    # A page runs as a program does: pickle finds its classes.
    sys.modules["__main__"] = main = types.ModuleType("__main__")
    run_page(Path(sys.argv[1]), main)
