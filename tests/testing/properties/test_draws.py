"""Calls, members, workers and patterns."""

import albumentations
import kornia.augmentation
import pytest
import torch
from torchvision.transforms import v2

from segaug import PerSegment
from segaug.testing._errors import NotApplicable, PropertyFailed
from segaug.testing._probes import make_probe
from segaug.testing.properties._calls import calls_are_independent
from segaug.testing.properties._members import members_are_independent
from segaug.testing.properties._patterns import patterns_have_right_frequencies
from segaug.testing.properties._workers import workers_and_epochs_are_independent

FLIPS = [v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()]


def probe(kind="image", dtype=torch.uint8):
    return make_probe(kind, 4, dtype, 3, 2)


def test_calls():
    calls_are_independent(v2.RandomHorizontalFlip(), probe())
    with pytest.raises(NotApplicable, match="the same at every call"):
        calls_are_independent(v2.RandomHorizontalFlip(1.0), probe())
    turn = iter(range(10_000))
    with pytest.raises(PropertyFailed, match="calls 1 apart"):
        calls_are_independent(lambda image: image.flip(-1) if next(turn) // 2 % 2 else image, probe())


def test_a_stream_seeded_by_every_call():
    def flip(image):
        torch.manual_seed(0)
        return image.flip(-1) if torch.empty(()).bernoulli_(0.5) else image

    with pytest.raises(PropertyFailed, match="the stream of torch set to one state by every call"):
        calls_are_independent(flip, probe())


@pytest.mark.parametrize(
    "transform",
    [
        v2.Compose(FLIPS),
        v2.RandomOrder(FLIPS),
        v2.Compose([v2.RandomApply([flip]) for flip in FLIPS]),
        v2.Compose([v2.RandomCrop(3), lambda image: image.flip(-1) if torch.rand(()) < 0.5 else image]),
        albumentations.Compose([albumentations.HorizontalFlip(p=0.5), albumentations.VerticalFlip(p=0.5)]),
    ],
)
def test_members_that_draw_by_themselves(transform):
    members_are_independent(transform, probe())


def test_members_of_kornia():
    flips = [kornia.augmentation.RandomHorizontalFlip(p=0.5), kornia.augmentation.RandomVerticalFlip(p=0.5)]
    members_are_independent(kornia.augmentation.AugmentationSequential(*flips), probe(dtype=torch.float32))


def test_one_seed_for_all_members_of_albumentations():
    flips = [albumentations.HorizontalFlip(p=0.5), albumentations.VerticalFlip(p=0.5)]
    with pytest.raises(PropertyFailed, match=r"HorizontalFlip \(0\) and VerticalFlip \(1\) to be independent"):
        members_are_independent(albumentations.Compose(flips, seed=137), probe())


def test_watching_leaves_the_given_transform_alone():
    compose = v2.Compose([v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()])
    members_are_independent(compose, probe())
    assert [type(member) for member in compose.transforms] == [v2.RandomHorizontalFlip, v2.RandomVerticalFlip]


@pytest.mark.parametrize("transform", [v2.RandomHorizontalFlip(), v2.RandomChoice(FLIPS)])
def test_members_not_applicable(transform):
    with pytest.raises(NotApplicable):
        members_are_independent(transform, probe())


@pytest.mark.parametrize("probability", [0.2, 0.5])
def test_share_of_a_plain_flip(probability):
    patterns_have_right_frequencies(v2.RandomHorizontalFlip(probability), probe())
    with pytest.raises(PropertyFailed, match="expected no change in"):
        patterns_have_right_frequencies(v2.RandomHorizontalFlip(probability), probe(), probability=0.8)


def test_patterns_of_segments():
    patterns_have_right_frequencies(PerSegment(v2.RandomHorizontalFlip(0.3)), probe("segment_tokens"))
    patterns_have_right_frequencies(PerSegment(v2.RandomGrayscale(1.0), p=0.5), probe("segment_tokens"))
    with pytest.raises(PropertyFailed, match="pattern 000"):
        patterns_have_right_frequencies(
            PerSegment(v2.RandomHorizontalFlip(0.3)), probe("segment_tokens"), probability=0.6
        )


def test_patterns_not_applicable():
    with pytest.raises(NotApplicable, match="with probability="):
        patterns_have_right_frequencies(v2.Compose(FLIPS), probe())


@pytest.mark.parametrize("generator", [None, 1])
def test_workers_of_ours(generator):
    stream = None if generator is None else torch.Generator().manual_seed(generator)
    workers_and_epochs_are_independent(PerSegment(v2.RandomHorizontalFlip(), generator=stream), probe("segment_tokens"))


def test_workers_of_torchvision_and_kornia():
    workers_and_epochs_are_independent(v2.RandomHorizontalFlip(), probe())
    workers_and_epochs_are_independent(kornia.augmentation.RandomHorizontalFlip(), probe(dtype=torch.float32))


@pytest.mark.parametrize(
    "transform", [albumentations.HorizontalFlip(p=0.5), albumentations.Compose([albumentations.VerticalFlip(p=0.5)])]
)
def test_workers_of_albumentations_draw_the_same(transform):
    with pytest.raises(PropertyFailed, match=r"worker 0 in epoch 0 and worker 1 in epoch 0.*same in 100 of 100"):
        workers_and_epochs_are_independent(transform, probe())
