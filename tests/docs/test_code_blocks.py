"""Every code block of the README and the documentation runs, and prints what stands below it."""

import argparse
import contextlib
import io
import re
import shlex
import sys
import tomllib
import types
from pathlib import Path

import pytest
import torch

from segaug import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page):
    """Yield the language, the line it starts on and the text of each fenced block."""
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        yield match[1], text.count("\n", 0, match.start()) + 2, match[2]


def name(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if "```python" in page.read_text(encoding="utf-8")], ids=name)
def test_python_blocks(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # A page runs as a program does: pickle finds its classes.
    program = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", program)
    namespace = vars(program)
    printed = None
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for language, line, text in blocks(page):
            if language == "text" and printed is not None:
                assert printed.rstrip() == text.rstrip(), f"{name(page)}:{line}"
            printed = None
            if language == "python":
                # Blank lines in front, so that a traceback shows the page's line.
                code = compile("\n" * (line - 1) + text, str(page), "exec")
                with contextlib.redirect_stdout(io.StringIO()) as output:
                    exec(code, namespace)
                printed = output.getvalue()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_fence_has_a_known_language(page):
    assert {language for language, _, _ in blocks(page)} <= {"python", "sh", "text"}
    assert page.read_text(encoding="utf-8").count("```") == 2 * len(list(blocks(page)))


def commands():
    for page in PAGES:
        for language, line, text in blocks(page):
            if language == "sh":
                for command in text.splitlines():
                    yield pytest.param(command, id=f"{name(page)}:{line}: {command[:40]}")


@pytest.mark.parametrize("command", list(commands()))
def test_shell_commands_name_what_exists(command):
    words = shlex.split(command)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for i, word in enumerate(words):
        if word == "--extra":
            assert words[i + 1] in extras
        if word.endswith((".py", "/run")):
            assert (ROOT / word).is_file()
        if word.endswith("train_svit.py"):
            script = (ROOT / word).read_text(encoding="utf-8")
            for option in words[i + 1 :]:
                assert not option.startswith("--") or f'"{option}"' in script
        if word == "segaug":
            assert isinstance(cli._parser().parse_args(words[i + 1 :]), argparse.Namespace)


def test_links_and_pictures_exist():
    for page in PAGES:
        text = re.sub(FENCE, "", page.read_text(encoding="utf-8"))
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if not target.startswith(("http://", "https://", "#")):
                assert (page.parent / target.partition("#")[0]).exists(), f"{name(page)}: {target}"
