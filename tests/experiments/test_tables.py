import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"
TABLES = ("tuning", "low_data", "augmentations", "tokens", "counting", "pretraining", "shift")

CHECK_ROWS = """
import importlib, sys
from _augmentations import make_recipe_by_name
from _rows import Row
from segaug import Tokenize
from segaug.data import parse_segmenter
from segaug.models import svit_micro
for name in sys.argv[1:]:
    module = importlib.import_module(name)
    rows = module.DRAWN if name == "shift" else module.ROWS
    keys = [row.key for row in rows.values()]
    assert len(set(keys)) == len(keys), name
    for row in rows.values():
        assert Row.from_json(row.to_json()) == row
        make_recipe_by_name(row.augment, size=144, classes=6)
        Tokenize(**row.tokenize)
        # The worker fills in how many places a table has.
        places = {"num_positions": 42} if row.model.get("position") == "table" else {}
        svit_micro(6, **row.model, **places)
        if row.segmenter != "true":
            parse_segmenter(row.segmenter)
"""

RUN_A_TABLE = """
import sys
from pathlib import Path
import _table
from _rows import Row
_table.RESULTS = Path(sys.argv.pop(1)) / "results" / "runs.csv"
rows = {
    "plain": Row(data="scenes:count", segmenter="true", augment="none", limit=4, epochs=1),
    "jitter": Row(data="scenes:count", segmenter="true", augment="flip+position+mix", limit=4, epochs=1),
}
_table.run_table("small", rows, _table.options("", rows, [0]))
"""


def run(script, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(EXPERIMENTS), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_every_row_can_be_made():
    done = run(CHECK_ROWS, *TABLES)
    assert done.returncode == 0, done.stderr


def test_a_table_trains_what_is_missing_and_keeps_each_result(tmp_path):
    options = ("--store", tmp_path / "store", "--runs", tmp_path / "runs", "--jobs", "2")
    first = run(RUN_A_TABLE, tmp_path, *options)
    assert first.returncode == 0, first.stderr
    assert "2 trainings to do, 0 there" in first.stdout
    results = tmp_path / "results" / "runs.csv"
    before = results.read_text()
    lines = list(csv.DictReader(before.splitlines()))
    assert len(lines) == 2
    assert all(0 <= float(line["accuracy"]) <= 100 for line in lines)
    again = run(RUN_A_TABLE, tmp_path, *options)
    assert "0 trainings to do, 2 there" in again.stdout
    assert "| jitter |" in again.stdout
    assert results.read_text() == before


@pytest.mark.parametrize("option", [("--seeds", "x"), ("--rows", "no such row")])
def test_wrong_options(tmp_path, option):
    done = run(RUN_A_TABLE, tmp_path, *option)
    assert done.returncode == 2
    assert "error: argument" in done.stderr


def test_the_report_holds_the_tables_as_they_are():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(EXPERIMENTS / "report.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
