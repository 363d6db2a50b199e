"""The guide's test suite for a transform that no one here wrote runs as it is written."""

import re
from pathlib import Path

import pytest

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "concepts" / "testing.md"
MOST_LINES = 25


class Results:
    """A plugin that keeps what became of each test."""

    def __init__(self):
        self.outcomes = {}

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome == "failed":
            self.outcomes[report.nodeid.partition("::")[2]] = report.outcome


def test_the_suite_runs_as_written(tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (suite,) = (block for block in blocks if "def test_coarse_dropout" in block)
    assert len([line for line in suite.splitlines() if line.strip()]) <= MOST_LINES
    path = tmp_path / "test_coarse_dropout.py"
    path.write_text(suite, encoding="utf-8")
    results = Results()
    pytest.main(["-q", "-p", "no:cacheprovider", "-c", "/dev/null", str(path)], plugins=[results])
    passed = [name for name, outcome in results.outcomes.items() if outcome == "passed"]
    assert "failed" not in results.outcomes.values(), results.outcomes
    assert "test_holes_are_black_and_the_rest_stays" in passed
    assert len(passed) >= 12
