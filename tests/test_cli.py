import subprocess
import sys

import PIL.Image

from segaug._commands import _preview
from segaug.cli import main


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    PIL.Image.new("RGB", (40, 30), "red").save(tmp_path / "photo.png")
    command = [sys.executable, "-m", "segaug", "preview", "photo.png", "--segmenter", "grid", "--out", "sheet.png"]
    running = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    running.stdout.close()
    message = running.stderr.read()
    running.stderr.close()
    assert (running.wait(timeout=120), message) == (0, b"")


def test_an_interrupt_is_one_line(monkeypatch, capsys):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(_preview, "run_preview", interrupted)
    assert main(["preview", "photo.png", "--out", "sheet.png"]) == 130
    assert capsys.readouterr() == ("", "segaug preview: interrupted\n")
