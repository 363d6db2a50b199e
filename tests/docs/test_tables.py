"""The tables in the docs are what the script makes, and no class is missing."""

import importlib.util
import inspect
from pathlib import Path

import kornia.augmentation
import pytest
from torchvision.transforms import v2

SCRIPT = Path(__file__).parents[2] / "docs" / "scripts" / "make_tables.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("make_tables", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows_of(page, package):
    made = page.split(f"<!-- {package}: made by a script -->")[1].split(f"<!-- {package}: end -->")[0]
    rows, title = {}, ""
    for line in made.splitlines():
        if line.startswith("## "):
            title = line[3:].lower()
        elif line.startswith("| `"):
            cells = line.strip("| ").split(" | ")
            rows[cells[0].strip("`")] = title or cells[1]
    return rows


@pytest.mark.parametrize("package", ["torchvision", "kornia", "albumentations"])
def test_a_page_shows_what_the_script_makes(script, package):
    page = script.PAGES[package].read_text(encoding="utf-8")
    assert script.fill_in(package, page) == page


def test_no_class_of_torchvision_is_missing_and_thirty_are_batched(script):
    rows = rows_of(script.PAGES["torchvision"].read_text(encoding="utf-8"), "torchvision")
    public = {name for name in vars(v2) if name[0] != "_" and inspect.isclass(getattr(v2, name))}
    assert set(rows) == public - {"AutoAugmentPolicy", "InterpolationMode", "Transform"}
    assert sum(how == "batched" for how in rows.values()) >= 30


def test_no_class_of_kornia_is_missing(script):
    rows = rows_of(script.PAGES["kornia"].read_text(encoding="utf-8"), "kornia")
    public = {name for name in kornia.augmentation.__all__ if inspect.isclass(getattr(kornia.augmentation, name))}
    assert public <= set(rows)


def test_every_batched_class_has_its_time(script):
    rows = rows_of(script.PAGES["torchvision"].read_text(encoding="utf-8"), "torchvision")
    figures = script.FIGURES.read_text(encoding="utf-8").splitlines()[1:]
    assert {line.partition(",")[0] for line in figures} == {name for name, how in rows.items() if how == "batched"}
