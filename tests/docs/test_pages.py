"""The documentation covers what is public, and its pictures are those that the script makes."""

import importlib
import importlib.util
import pkgutil
import re
from pathlib import Path

import PIL.Image
import pytest

import segaug

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PACKAGES = [
    f"segaug.{module.name}"
    for module in pkgutil.iter_modules(segaug.__path__)
    if module.ispkg and not module.name.startswith("_")
]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("make_pictures", DOCS / "scripts" / "make_pictures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_package_has_a_page(package):
    page = DOCS / "api" / f"{package.partition('.')[2]}.md"
    assert f"::: {package}\n" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_has_a_docstring(package):
    module = importlib.import_module(package)
    # The reference leaves out what has none.
    assert [
        name for name in module.__all__ if callable(getattr(module, name)) and not getattr(module, name).__doc__
    ] == []


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
    assert pages == set(re.findall(r": (\S+\.md)$", navigation, re.MULTILINE))


def test_pages_show_the_pictures_of_the_script(script):
    shown = set()
    for page in (ROOT / "README.md", *DOCS.rglob("*.md")):
        shown |= set(re.findall(r"pictures/(\w+)\.png", page.read_text(encoding="utf-8")))
    assert shown == set(script.PICTURES) == {path.stem for path in (DOCS / "pictures").iterdir()}


def test_the_script_still_makes_them(script):
    with PIL.Image.open(DOCS / "pictures" / "flips.png") as stored:
        assert script.flips().size == stored.size
