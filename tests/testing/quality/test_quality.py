"""The kit bites: every planted bug is caught by the property that should catch it, and no right transform fails.

``python tests/testing/quality`` prints the table; it takes more samples of the right transforms, and five seeds for each.
"""

from collections import Counter

import pytest
import torch
from catalogue import MAX_EXAMPLES, MUTANTS, RIGHT, SEEDS, check_right, check_wrong

from segaug import SegmentedImage
from segaug.testing._property import PROPERTIES

# The program takes 200 of each for five seeds; in the suite they are fewer, as all others run too.
SOME, FEW = 25, 8
# Bugs in transforms of segments, whose reports must be small enough to be read.
SHRUNK = {
    mutant.name: mutant
    for mutant in MUTANTS
    if not PROPERTIES[mutant.caught_by].statistical and "seg" in str(mutant.options.get("accepts"))
}
IDS = [mutant.name for mutant in MUTANTS]


def test_there_are_enough_and_each_is_another():
    assert len(MUTANTS) >= 40
    assert not [name for name, count in Counter(IDS).items() if count > 1]
    assert len(SHRUNK) >= 5


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("mutant", MUTANTS, ids=IDS)
def test_a_bug_is_caught(mutant, seed):
    outcome = check_wrong(mutant, seed)[mutant.caught_by]
    assert outcome.status == "failed", f"{mutant.bug} {outcome}"
    # Of one that counts, its examples are its calls, or the results that these give.
    assert outcome.examples <= MAX_EXAMPLES * PROPERTIES[mutant.caught_by].results_per_call


@pytest.mark.parametrize("mutant", MUTANTS, ids=IDS)
def test_the_right_transform_holds_the_property(mutant):
    for seed in SEEDS:
        report = check_right(mutant, seed, max_examples=SOME, only=[mutant.caught_by])
        assert report[mutant.caught_by].status == "held", str(report)


@pytest.mark.parametrize("mutant", RIGHT.values(), ids=lambda mutant: mutant.name)
def test_the_right_transform_holds_all(mutant):
    report = check_right(mutant, 0, max_examples=FEW)
    assert not report.failed, str(report)


@pytest.mark.parametrize("name", SHRUNK)
def test_the_example_is_small(name):
    mutant = SHRUNK[name]
    outcome = check_wrong(mutant, 0, shrink=True)[mutant.caught_by]
    sample = outcome.example
    picture = sample.image if isinstance(sample, SegmentedImage) else sample.patches
    segments = (
        int(torch.unique(sample.segments[sample.segments > 0]).numel())
        if isinstance(sample, SegmentedImage)
        else (int((sample.labels > 0).sum(-1).max()) if sample.labels.numel() else 0)
    )
    assert segments <= 2, outcome.reproduce
    assert max(picture.shape[-2:]) <= 4, outcome.reproduce
