import runpy
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import skimage.data
import torch

from segaug import Grid, Segment, Tokenize
from segaug._sheet import Panel, draw_outlines, draw_sheet, draw_tokens, paint_picture
from segaug.cli import main


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "coffee.png"
    PIL.Image.fromarray(skimage.data.coffee()[::2, ::2]).save(path)
    return path


def run(*arguments):
    return main(["preview", *map(str, arguments)])


def fails(capsys, *arguments):
    """Run a command that must fail, and return its one line."""
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    return captured.err


def test_preview_makes_a_sheet(photo, tmp_path, capsys):
    out = tmp_path / "new folder" / "sheet.png"
    assert run(photo, "--segmenter", "felzenszwalb:scale=100,min_size=40", "--size", 96, "--rows", 1, "--out", out) == 0
    line = capsys.readouterr().out
    assert line.startswith(f"{out}: ")
    with PIL.Image.open(out) as sheet:
        assert sheet.format == "PNG"
        assert f"{sheet.width} x {sheet.height}" in line
        # Four tiles of 300 pixels, three gaps and the margins.
        assert sheet.width == 4 * 300 + 3 * 8 + 2 * 16
        pixels = np.asarray(sheet)
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 5000
    assert [path.name for path in out.parent.iterdir()] == ["sheet.png"]


def test_seed_decides_the_sheet_and_the_default_generator_stays(photo, tmp_path):
    state = torch.get_rng_state()
    sheets = []
    for i, seed in enumerate((3, 3, 4)):
        out = tmp_path / f"{i}.png"
        assert run(photo, "--segmenter", "grid:rows=3,cols=3", "--size", 48, "--seed", seed, "--out", out) == 0
        sheets.append(out.read_bytes())
    assert sheets[0] == sheets[1] != sheets[2]
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("mode", "size"), [("L", (40, 30)), ("RGBA", (40, 30)), ("P", (1, 1)), ("RGB", (200, 2))])
def test_other_kinds_of_images(mode, size, tmp_path, capsys):
    path = tmp_path / "image.png"
    PIL.Image.new(mode, size).save(path)
    options = ("--segmenter", "voronoi:n=2", "--size", 32, "--rows", 1, "--columns", 3)
    assert run(path, *options, "--out", tmp_path / "sheet.jpg") == 0
    with PIL.Image.open(tmp_path / "sheet.jpg") as sheet:
        assert sheet.format == "JPEG"


def test_a_photo_is_turned_as_its_camera_says(tmp_path, capsys):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.new("RGB", (60, 30)).save(tmp_path / "photo.jpg", exif=exif)
    assert (
        run(tmp_path / "photo.jpg", "--segmenter", "grid", "--size", 64, "--rows", 1, "--out", tmp_path / "s.png") == 0
    )
    with PIL.Image.open(tmp_path / "s.png") as sheet:
        assert sheet.width < 4 * 300  # upright, so the tiles are narrow


def test_errors_are_one_line(photo, tmp_path, capsys):
    out = tmp_path / "sheet.png"
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    cut = tmp_path / "cut.jpg"
    PIL.Image.fromarray(skimage.data.coffee()).save(cut)
    cut.write_bytes(cut.read_bytes()[:5000])

    assert "found none at" in fails(capsys, tmp_path / "missing.jpg", "--out", out)
    assert "found none at" in fails(capsys, tmp_path, "--out", out)
    assert "text.jpg as an image: not in a format that Pillow knows" in fails(capsys, text, "--out", out)
    assert "cut.jpg as an image: image file is truncated" in fails(capsys, cut, "--out", out)
    assert "got 'quadtree'" in fails(capsys, photo, "--segmenter", "quadtree", "--out", out)
    assert "scale, sigma, min_size" in fails(capsys, photo, "--segmenter", "felzenszwalb:sclae=1", "--out", out)
    assert "scale must be at least 0" in fails(capsys, photo, "--segmenter", "felzenszwalb:scale=-1", "--out", out)
    assert "must be a single one" in fails(capsys, photo, "--segmenter", "grid+slic", "--out", out)
    assert "checkpoint" in fails(capsys, photo, "--segmenter", "sam:checkpoint=none.pth", "--out", out)
    assert "--out must end in one of" in fails(capsys, photo, "--out", tmp_path / "sheet.xyz")
    assert "--columns must be at least 3, got 2" in fails(capsys, photo, "--columns", 2, "--out", out)
    assert "--size must be at least 1, got 0" in fails(capsys, photo, "--size", 0, "--out", out)
    assert "max_segments must be at least 1" in fails(capsys, photo, "--max-segments", 0, "--out", out)
    assert not out.exists()


def test_missing_extra_names_the_pip_command(photo, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    assert "pip install 'segaug[segmenters]'" in fails(capsys, photo, "--out", tmp_path / "sheet.png")


def test_a_sheet_that_cannot_be_written_leaves_the_old_one(photo, tmp_path, capsys, monkeypatch):
    out = tmp_path / "sheet.png"
    out.write_bytes(b"old")

    def full_disk(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    assert "No space left" in fails(capsys, photo, "--segmenter", "grid", "--size", 32, "--rows", 1, "--out", out)
    assert out.read_bytes() == b"old"


def test_python_dash_m(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["segaug", "preview", "missing.jpg", "--out", "sheet.png"])
    # Not in a process of its own: importing torch again would take longer than all of these tests.
    with pytest.raises(SystemExit) as exit_:
        runpy.run_module("segaug", run_name="__main__")
    assert exit_.value.code == 2
    assert capsys.readouterr().err == "segaug preview: IMAGE must be a file, found none at missing.jpg\n"


def test_outlines_are_between_segments_only():
    sample = Segment(Grid(2, 2))(torch.zeros(3, 20, 20))
    lines = np.asarray(draw_outlines(sample)).any(-1)
    assert lines[:, 9].all()
    assert lines[9].all()
    assert not np.delete(np.delete(lines, (9, 10), axis=0), (9, 10), axis=1).any()


@pytest.mark.parametrize("count", [1, 2, 5, 24, 25, 197])
@pytest.mark.parametrize("size", [(200, 100), (100, 100), (301, 77)])
def test_all_tokens_fit(count, size):
    tokens = Tokenize(size=4, max_segments=count, background=False)(Segment(Grid(count, 1))(torch.zeros(3, count, 8)))
    picture = np.asarray(draw_tokens(tokens, size))
    # Tokens are black on white: as many black squares as there are tokens.
    black = ~picture.any(-1)
    corners = black & ~np.roll(black, 1, axis=0) & ~np.roll(black, 1, axis=1)
    assert corners.sum() == count


def test_painting_back_shows_what_is_not_covered():
    tokens = Tokenize(size=4)(Segment(Grid(1, 2))(torch.ones(3, 8, 16)))
    canvas = paint_picture(tokens[:1], 8, 16)
    assert torch.equal(canvas[:, :, :8], torch.ones(3, 8, 8))
    assert torch.allclose(canvas[:, :, 8:], torch.tensor(0.87))


def test_sheet_without_captions_is_panels_and_margins():
    red, blue = (PIL.Image.new("RGB", (30, 20), color) for color in ("red", "blue"))
    sheet = draw_sheet([("", [[Panel(red), Panel(blue)], [Panel(red)]])], margin=10)
    assert sheet.size == (10 + 30 + 5 + 30 + 10, 10 + 20 + 5 + 20 + 10)
    assert sheet.getpixel((10, 10)) == (255, 0, 0)
    assert sheet.getpixel((45, 29)) == (0, 0, 255)
    assert sheet.getpixel((9, 10)) == (255, 255, 255)
