"""Transforms as their users write them: right ones fail nothing, and what is guessed about them is not wrong."""

import functools
import random
import sys
import threading

import albumentations
import numpy as np
import PIL.ImageOps
import pytest
import torch
import torch.nn.functional
from torch.distributions import Bernoulli
from torchvision.transforms import v2

from segaug.testing import check_augmentation

FEW = {"max_examples": 10}
STREAM = np.random.default_rng(0)
PIPELINE = albumentations.Compose([albumentations.RandomBrightnessContrast(p=0.5)])


class RareFlip:
    """Acts for one draw in ten."""

    def __call__(self, image):
        return image.flip(-1) if torch.rand(()) < 0.1 else image


class DrawnOnce:
    """Reads p in its constructor only."""

    def __init__(self, p=0.5):
        self.p = p
        self.gate = Bernoulli(p)

    def __call__(self, image):
        return image.flip(-1) if self.gate.sample() else image


class Slotted:
    """Keeps its stream in a slot."""

    __slots__ = ("stream",)

    def __init__(self):
        self.stream = random.Random(1)

    def augment(self, image):
        return image.flip(-1) if self.stream.random() < 0.5 else image


class ReflectBlur:
    """Needs four rows and columns, and says so by an assertion."""

    def __call__(self, image):
        assert min(image.shape[-2:]) >= 4, "too small"
        padded = torch.nn.functional.pad(image.as_subclass(torch.Tensor).float()[None], (2, 2, 2, 2), mode="reflect")
        return (
            torch.nn.functional.avg_pool2d(padded, 5, 1)[0].clamp(0, 1 if image.is_floating_point() else 255).to(image)
        )


def same(image):
    return image


def by_a_global_stream(image):
    return image[:, ::-1] if STREAM.random() < 0.5 else image


def by_a_global_pipeline(image):
    return PIPELINE(image=image)["image"]


def flip_for(image, stream):
    return image.flip(-1) if stream.random() < 0.5 else image


RIGHT = {
    "PIL identity": (same, {"input": "pil"}),
    "PIL autocontrast": (PIL.ImageOps.autocontrast, {"input": "pil"}),
    "rare": (RareFlip(), {}),
    "p in the constructor": (DrawnOnce(), {"accepts": "image"}),
    "a bound method": (Slotted().augment, {"accepts": "image"}),
    "a global stream": (by_a_global_stream, {"input": "numpy"}),
    "a global pipeline": (by_a_global_pipeline, {"input": "numpy"}),
    "a partial": (functools.partial(flip_for, stream=random.Random(1)), {"accepts": "image"}),
    "an assertion": (ReflectBlur(), {"accepts": "image"}),
    "smaller than said": (v2.GaussianBlur(5), {"accepts": "image", "min_side": 8}),
}
# A stream that loaders' workers copy is rightly found; nothing else is.
COPIED = {"workers_and_epochs_are_independent"}


@pytest.mark.parametrize("name", RIGHT)
def test_right_code_fails_nothing(name):
    transform, options = RIGHT[name]
    report = check_augmentation(transform, **FEW, **options)
    assert {outcome.name for outcome in report.failed} <= COPIED, str(report)


def test_the_users_streams_are_put_back():
    before = STREAM.bit_generator.state
    check_augmentation(by_a_global_stream, input="numpy", **FEW, only="is_reproducible")
    assert STREAM.bit_generator.state == before


def test_what_never_acts_is_not_said_to_move_no_pixels():
    report = check_augmentation(v2.RandomApply([v2.RandomHorizontalFlip()], p=0.0), accepts="image", **FEW)
    assert "moves pixels: not known" in str(report)


def test_a_blur_without_padding_does_not_keep_the_shape():
    def blur(image):
        return torch.nn.functional.avg_pool2d(image.as_subclass(torch.Tensor), 3, 1)

    report = check_augmentation(blur, accepts="image", dtypes=torch.float32, min_side=4, **FEW)
    assert report["keeps_shape"].status == "failed"


def test_leaving_the_program_is_a_failure_of_the_transform():
    report = check_augmentation(lambda image: sys.exit(3), accepts="image", **FEW)
    assert "raised SystemExit" in report["returns_same_structure"].reason


def test_the_word_deadline_in_a_message_is_no_deadline():
    def late(image):
        raise ValueError("the deadline file is missing")

    report = check_augmentation(late, accepts="image", **FEW)
    assert not any(outcome.timed_out for outcome in report.outcomes)
    assert "properties.returns_same_structure(" in report["returns_same_structure"].reproduce


def test_what_cannot_be_copied_is_told():
    class Locked:
        def __init__(self):
            self.lock = threading.Lock()

        def __call__(self, image):
            return image

    assert "cannot be copied" in str(check_augmentation(Locked(), accepts="image", **FEW, only="is_reproducible"))


def test_much_data_in_a_transform_costs_nothing():
    class Holder:
        def __init__(self):
            self.files = [f"{i}.png" for i in range(100_000)]
            self.numpy = np

        def __call__(self, image):
            return image

    assert check_augmentation(Holder(), accepts="image", **FEW, only="returns_same_structure").ok
