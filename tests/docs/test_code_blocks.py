"""Every code block of the README and the documentation runs, and prints what stands below it."""

import argparse
import re
import shlex
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import page_blocks
import pytest
from page_blocks import FENCE, blocks

from segaug import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def name(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if "```python" in page.read_text(encoding="utf-8")], ids=name)
def test_python_blocks(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "segaug.testing" in page.read_text(encoding="utf-8"):
        # Hypothesis draws numbers that it meets in the modules that are loaded: what a page prints must not depend on
        # which tests ran before it.
        command = [sys.executable, page_blocks.__file__, str(page)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return
    program = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", program)
    page_blocks.run_page(page, program)


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
