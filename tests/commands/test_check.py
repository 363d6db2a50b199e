"""``segaug check``: a table, and an exit status that a script can go by."""

import sys

import pytest

from segaug.cli import main

MODULE = '''
from torchvision.transforms import v2


def brighten(image):
    """Writes into what it is given."""
    image += 10
    return image


class Flip(v2.RandomHorizontalFlip):
    pass


class Crop(v2.RandomCrop):
    pass


flip = Flip(0.5)
'''
FEW = ("--accepts", "image", "--dtype", "uint8", "--max-examples", "5")


@pytest.fixture
def flips(tmp_path, monkeypatch):
    path = tmp_path / "own_flips.py"
    path.write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    # The command adds the folder and the module, as python -m would.
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield path
    sys.modules.pop("own_flips", None)


@pytest.mark.parametrize("target", ["own_flips:flip", "own_flips.py:flip", "own_flips:Flip"])
def test_exit_status_is_0_if_all_hold(flips, target, capsys):
    assert main(["check", target, *FEW, "--only", "is_reproducible", "--only", "twice_is_identity"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Flip: 2 held, 0 failed, 0 not applicable\n")
    assert "is_reproducible" in out


def test_exit_status_is_1_if_one_fails(flips, capsys):
    assert main(["check", "own_flips:brighten", *FEW, "--only", "does_not_mutate_input"]) == 1
    captured = capsys.readouterr()
    assert "does_not_mutate_input  FAILED" in captured.out
    assert "properties.does_not_mutate_input(transform, tv_tensors.Image(" in captured.out
    assert captured.err == ""


def test_a_skipped_property_shows_its_reason(flips, capsys):
    arguments = ["--only", "does_not_mutate_input,is_reproducible", "--skip", "does_not_mutate_input=saves memory"]
    assert main(["check", "own_flips:brighten", *FEW, *arguments]) == 0
    assert "saves memory" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["own_flips"], "MODULE:OBJECT must name a module and an object in it, as in flips.py:flip, got own_flips"),
        (["own_flips:no_such"], "own_flips has no no_such"),
        (["no_such_module:flip"], "No module named 'no_such_module'"),
        (["no_such.py:flip"], "MODULE must be a dotted name or a file, found none at no_such.py"),
        (["own_flips:Crop"], "own_flips:Crop is a class that needs arguments: make an instance in the module"),
        (["own_flips:__name__"], "transform must be callable, got 'own_flips'"),
        (["own_flips:flip", "--accepts", "pictures"], "accepts must name kinds of samples"),
        (["own_flips:flip", "--only", "no_such"], "only must name properties"),
        (["own_flips:flip", "--skip", "is_reproducible"], "--skip must be PROPERTY=REASON, got is_reproducible"),
        (["own_flips:flip", "--max-examples", "0"], "max_examples must be at least 1, got 0"),
        (["own_flips:flip", "--input", "pil"], "input is for callables of no library"),
    ],
)
def test_what_is_wrong_is_one_line(flips, arguments, message, capsys):
    assert main(["check", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("segaug check: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1
