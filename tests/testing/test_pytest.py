"""The helper for pytest gives one test per property."""

import pytest
from torchvision.transforms import v2

from segaug.testing import parametrize_properties
from segaug.testing._property import all_properties

SUITE = """
import torch
from torchvision.transforms import v2
from segaug.testing import parametrize_properties

def brighten(image):
    image += 10
    return image

ONLY = ["does_not_mutate_input", "is_reproducible", "padding_changes_nothing"]

@parametrize_properties(brighten, accepts="image", dtypes=torch.uint8, max_examples=5, only=ONLY)
def test_brighten(check):
    check()
"""


def test_one_test_per_property(tmp_path):
    path = tmp_path / "test_suite.py"
    path.write_text(SUITE, encoding="utf-8")

    class Results:
        def __init__(self):
            self.by_name = {}
            self.text = ""

        def pytest_runtest_logreport(self, report):
            if report.when == "call":
                self.by_name[report.nodeid.partition("[")[2][:-1]] = report.outcome
                self.text += str(report.longrepr or "")

    results = Results()
    pytest.main(["-q", "-p", "no:cacheprovider", "--no-header", str(path), "-c", "/dev/null"], plugins=[results])
    assert results.by_name == {
        "does_not_mutate_input": "failed",
        "is_reproducible": "passed",
        "padding_changes_nothing": "skipped",
    }
    assert "properties.does_not_mutate_input(transform, tv_tensors.Image(" in results.text


def test_all_properties_unless_said():
    @parametrize_properties(v2.RandomInvert())
    def test(check):
        check()

    names = [parameter.id for parameter in test.pytestmark[0].args[1]]
    assert names == list(all_properties())


@pytest.mark.parametrize(
    ("transform", "options", "error"),
    [(3, {}, TypeError), (v2.RandomInvert, {}, TypeError), (v2.RandomInvert(), {"only": ["no_such"]}, ValueError)],
)
def test_mistakes_show_when_tests_are_collected(transform, options, error):
    with pytest.raises(error):
        parametrize_properties(transform, **options)
