"""Versions, lazy imports, and the look-up on the network that albumentations is kept from."""

import importlib
import os
import subprocess
import sys

import albumentations as A
import kornia
import kornia.augmentation as K
import pytest

from segaug import PerSegment
from segaug.adapters import _registration


@pytest.mark.parametrize("version", ["0.7.4", "1.0.0"])
def test_kornia_of_another_version(monkeypatch, version):
    monkeypatch.setattr(kornia, "__version__", version)
    with pytest.raises(ImportError, match="kornia must be at least 0.8 and below 1, got " + version) as caught:
        PerSegment(K.RandomInvert())
    assert "pip install 'segaug[kornia]'" in str(caught.value)


@pytest.mark.parametrize("version", ["0.8.0", "0.9.0.dev1", "0.12"])
def test_kornia_of_a_version_that_fits(monkeypatch, version):
    monkeypatch.setattr(kornia, "__version__", version)
    PerSegment(K.RandomInvert())


def test_albumentations_of_another_version(monkeypatch):
    monkeypatch.setattr(A, "__version__", "2.0.9")
    for vectorized in (True, False):
        with pytest.raises(ImportError, match=r"albumentations must be 2\.0\.8, got 2\.0\.9") as caught:
            PerSegment(A.HorizontalFlip(), vectorized=vectorized)
        assert "pip install 'segaug[albumentations]'" in str(caught.value)


def test_albumentations_looks_nothing_up_when_segaug_was_imported_before():
    script = (
        "import os, urllib.request, segaug\n"
        "def refuse(*args, **kwargs): print('network')\n"
        "urllib.request.build_opener = refuse\n"
        "import albumentations\n"
        "print(os.environ['NO_ALBUMENTATIONS_UPDATE'])\n"
    )
    clean = {"PATH": "/usr/bin:/bin", "PYTHONWARNINGS": "error::UserWarning"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, env=clean)
    assert done.stderr == ""
    assert done.stdout == "1\n"


def test_what_the_user_set_stays(monkeypatch):
    monkeypatch.setenv("NO_ALBUMENTATIONS_UPDATE", "0")
    importlib.reload(_registration)
    assert os.environ["NO_ALBUMENTATIONS_UPDATE"] == "0"
