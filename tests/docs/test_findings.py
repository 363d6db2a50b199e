"""The tables of what was found are those of the files that the script left, and the files are whole."""

import importlib.util
from pathlib import Path

import pytest

from segaug.testing.properties import __all__ as PROPERTIES

SCRIPT = Path(__file__).parents[2] / "docs" / "scripts" / "check_libraries.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("check_libraries", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_shows_the_files(script):
    page = script.PAGE.read_text(encoding="utf-8")
    assert script.fill_in(page) == page


@pytest.mark.parametrize("library", ["torchvision", "kornia", "albumentations"])
def test_each_class_was_checked(script, library):
    counts = [row for row in script.read(script.COUNTS) if row["library"] == library]
    expected = {*script.registered(library), *script.compositions(library)}
    # Its mask is no part of the samples.
    assert {row["class"] for row in counts} == expected - {"MaskDropout"}


def test_failures_add_up_and_name_properties(script):
    failures = script.read(script.FAILURES)
    assert {row["property"] for row in failures} <= set(PROPERTIES)
    for row in script.read(script.COUNTS):
        of_class = [f for f in failures if (f["library"], f["class"]) == (row["library"], row["class"])]
        assert len(of_class) == int(row["failed"])
