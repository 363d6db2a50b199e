"""One call holds all properties that apply, and says what failed, with the smallest example."""

import random
import time

import pytest
import torch
from hypothesis import given, settings
from torchvision.transforms import v2

from segaug import PerSegment
from segaug.testing import (
    PropertyFailed,
    assert_augmentation,
    check_augmentation,
    properties,
    strategies,
)
from segaug.testing._code import IMPORTS
from segaug.testing._own_streams import snapshot_defaults
from segaug.testing._property import PROPERTIES, all_properties

FEW = {"accepts": "image", "dtypes": torch.uint8, "max_examples": 15}


def brighten(image):
    """Writes into what it is given."""
    image += 10
    return image


class TestCheckAugmentation:
    def test_a_right_transform_fails_nothing(self):
        report = check_augmentation(v2.RandomHorizontalFlip(), max_examples=10)
        assert report.ok
        assert {"returns_same_structure", "is_reproducible", "moves_everything_together"} <= {
            o.name for o in report.held
        }
        assert all(outcome.reason for outcome in report.not_applicable)
        assert [outcome.name for outcome in report.outcomes] == list(all_properties())

    def test_a_failure_has_its_smallest_example_and_code_that_shows_it(self):
        report = check_augmentation(brighten, **FEW)
        failed = report["does_not_mutate_input"]
        assert not report.ok
        assert failed.status == "failed"
        assert failed.example.shape == (1, 1, 1)
        assert failed.kind == "image"
        names = {"transform": brighten}
        exec("\n".join(IMPORTS), names)
        with pytest.raises(PropertyFailed):
            exec(failed.reproduce, names)
        assert failed.reproduce in str(report)

    def test_the_same_seed_gives_the_same_report(self):
        once, again = (check_augmentation(brighten, **FEW, seed=3) for _ in range(2))
        assert str(once) == str(again)

    def test_the_streams_and_the_transform_stay(self):
        generator = torch.Generator().manual_seed(1)
        flip = PerSegment(v2.RandomHorizontalFlip(), generator=generator)
        streams, state = snapshot_defaults(), generator.get_state()
        check_augmentation(flip, accepts="segment_tokens", max_examples=3)
        assert snapshot_defaults() == streams
        assert torch.equal(generator.get_state(), state)

    def test_what_is_skipped_keeps_its_reason(self):
        report = check_augmentation(brighten, **FEW, skip={"does_not_mutate_input": "it saves memory"})
        assert report["does_not_mutate_input"].status == "not applicable"
        assert report["does_not_mutate_input"].reason == "it saves memory"

    def test_only_some(self):
        report = check_augmentation(brighten, **FEW, only=["is_reproducible", "returns_same_structure"])
        assert [outcome.name for outcome in report.outcomes] == ["returns_same_structure", "is_reproducible"]

    def test_what_no_seed_reaches_is_told(self):
        source = random.SystemRandom()
        report = check_augmentation(lambda image: image + source.randrange(9), **FEW, only=["is_reproducible"])
        assert report["is_reproducible"].status == "failed"


class TestOutcomesOfBadTransforms:
    @pytest.mark.parametrize(
        ("wrong", "reason"),
        [
            (lambda image: None, "it returned None"),
            (lambda image: (image, image), "given Image, it returned tuple"),
            (lambda image: image[5], "raised IndexError"),
        ],
    )
    def test_is_one_failure_with_the_reason(self, wrong, reason):
        report = check_augmentation(wrong, **FEW)
        assert next(outcome.name for outcome in report.failed) == "returns_same_structure"
        assert reason in report["returns_same_structure"].reason
        assert len(report.failed) <= 2

    def test_raising_for_some_is_shrunk_to_the_smallest(self):
        def fussy(image):
            if image.shape[-1] > 2 and image.shape[-2] > 1:
                raise RuntimeError("too large")
            return image

        report = check_augmentation(fussy, **(FEW | {"max_examples": 100}), only=["returns_same_structure"])
        assert report["returns_same_structure"].example.shape == (1, 2, 3)

    @pytest.mark.parametrize("accepts", [None, "image"])
    def test_one_that_never_returns_is_named_and_ends_the_check(self, accepts):
        def slow(image):
            time.sleep(60)

        start = time.monotonic()
        report = check_augmentation(slow, accepts=accepts, deadline=0.1)
        assert time.monotonic() - start < 5
        assert report["returns_same_structure"].status == "failed"
        assert "slow did not return within the deadline of 0.1 s" in str(report)
        assert len(report.failed) == 1

    def test_one_that_is_slow_for_some_ends_the_check_too(self):
        def slow(image):
            if image.numel() == 6:
                time.sleep(60)
            return image

        report = check_augmentation(slow, **(FEW | {"max_examples": 60}), deadline=0.2, shrink=False)
        assert "deadline" in str(report)
        assert not report.ok

    def test_prints_are_a_failure_and_stay_out_of_the_table(self, capsys):
        def noisy(image):
            print("hello")
            return image

        report = check_augmentation(noisy, **FEW)
        assert capsys.readouterr().out == ""
        assert [outcome.name for outcome in report.failed] == ["prints_nothing"]
        assert "hello" in report["prints_nothing"].reason


class TestAssertAugmentation:
    def test_raises_with_the_report(self):
        with pytest.raises(AssertionError, match="does_not_mutate_input failed"):
            assert_augmentation(brighten, **FEW)

    def test_returns_the_report(self):
        assert assert_augmentation(v2.RandomInvert(), **FEW).ok

    def test_nothing_checked_is_no_success(self):
        with pytest.raises(AssertionError, match="nothing was checked"):
            assert_augmentation(brighten, **FEW, only=["padding_changes_nothing"])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"max_examples": 0}, ValueError, "max_examples must be at least 1, got 0"),
        ({"seed": -1}, ValueError, "seed must be at least 0, got -1"),
        ({"only": ["no_such"]}, ValueError, "only must name properties, got 'no_such'"),
        ({"skip": {"no_such": "why"}}, ValueError, "skip must name properties"),
        ({"skip": ["is_reproducible"]}, TypeError, "skip must map names of properties to reasons"),
        ({"accepts": "pictures"}, ValueError, "accepts must name kinds of samples"),
        ({"shrink": 1}, TypeError, "shrink must be True or False"),
        ({"deadline": -1}, ValueError, "deadline must be at least"),
    ],
)
def test_bad_arguments_are_one_clear_error(arguments, error, message):
    with pytest.raises(error, match=message):
        check_augmentation(v2.Identity(), **arguments)


@pytest.mark.parametrize("name", PROPERTIES)
def test_every_property_is_public_and_states_itself(name):
    held = PROPERTIES[name]
    assert getattr(properties, name) is held.check
    assert name in properties.__all__
    # The statement speaks of the transform by its letter.
    assert "T" in held.statement
    assert held.statement.endswith((".", ":"))
    assert held.kinds


def test_properties_take_drawn_samples_directly():
    @given(strategies.images(max_side=4))
    @settings(derandomize=True, deadline=None, max_examples=10)
    def check(image):
        properties.does_not_mutate_input(v2.RandomInvert(), image)

    check()
