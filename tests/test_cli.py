import subprocess
import sys

import PIL.Image


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    PIL.Image.new("RGB", (40, 30), "red").save(tmp_path / "photo.png")
    command = [sys.executable, "-m", "segaug", "preview", "photo.png", "--segmenter", "grid", "--out", "sheet.png"]
    running = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    running.stdout.close()
    message = running.stderr.read()
    running.stderr.close()
    assert (running.wait(timeout=120), message) == (0, b"")
