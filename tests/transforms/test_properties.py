"""Every random transform of segaug has all properties that apply.

Few samples here; ``pytest tests/transforms/test_properties.py --samples 1000`` takes many.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import albumentations
import kornia.augmentation
import pytest
import torch
from torchvision.transforms import v2

import segaug
from segaug import (
    BackgroundSwap,
    PerSegment,
    PositionJitter,
    RandomMirror,
    SegmentCopyPaste,
    SegmentDrop,
    SegmentMix,
    TokenBudget,
    TwoViews,
)
from segaug.testing import assert_augmentation

TOKENS = ("segment_tokens", "token_batch")
BOTH = ("segmented_image", *TOKENS)

# Classes of segaug.transforms that draw nothing, or whose result is of another kind than what they take.
NOT_HELD = {
    "Segment": "it takes an image and returns an image with its segments; segmenters have tests of their own",
    "Tokenize": "it draws nothing, and returns tokens for a picture",
    "TwoViews": "it returns two results for one; its first is held here as FirstView",
}


class FirstView(TwoViews):
    """The first of the two views, so that what comes out is of the kind that went in."""

    def forward(self, *inputs: Any) -> Any:
        return super().forward(*inputs).first


@dataclass(frozen=True)
class Case:
    """A transform: ``make(**arguments)``, and what ``assert_augmentation`` is told about it."""

    make: Callable[..., Any]
    options: dict[str, Any] = field(default_factory=dict)


def per_segment(make, accepts=BOTH, skip=None, **fixed):
    """PerSegment of a transform that is made anew each time."""
    options = {"accepts": accepts, **({"skip": skip} if skip else {})}
    return Case(lambda **arguments: PerSegment(make(), **(fixed | arguments)), options)


CASES: dict[str, Case] = {
    "flip": per_segment(v2.RandomHorizontalFlip),
    "flip, p": per_segment(lambda: v2.RandomVerticalFlip(1.0), p=0.5),
    "flip, background stays": per_segment(v2.RandomHorizontalFlip, background=False),
    "flip, looped": per_segment(v2.RandomHorizontalFlip, vectorized=False),
    "jitter": per_segment(lambda: v2.ColorJitter(0.4, 0.4, 0.4, 0.1)),
    "jitter, looped": per_segment(lambda: v2.ColorJitter(0.4, 0.4, 0.4, 0.1), vectorized=False),
    "invert": per_segment(v2.RandomInvert),
    "grayscale": per_segment(lambda: v2.RandomGrayscale(0.5)),
    "solarize": per_segment(lambda: v2.RandomSolarize(128)),
    "autocontrast": per_segment(v2.RandomAutocontrast),
    "equalize": per_segment(v2.RandomEqualize),
    "rotation": per_segment(lambda: v2.RandomRotation(30)),
    "affine": per_segment(lambda: v2.RandomAffine(20, (0.1, 0.1), (0.8, 1.2), 10)),
    "crop": per_segment(lambda: v2.RandomResizedCrop(4, scale=(0.5, 1.0))),
    "erasing": per_segment(v2.RandomErasing),
    "blur": per_segment(lambda: v2.GaussianBlur(3, (0.1, 2.0))),
    "noise": per_segment(v2.GaussianNoise, TOKENS),
    "RandAugment": per_segment(v2.RandAugment),
    "Compose": per_segment(
        lambda: v2.Compose([v2.RandomHorizontalFlip(), v2.RandomResizedCrop(4), v2.ColorJitter(0.4)])
    ),
    "RandomChoice": per_segment(lambda: v2.RandomChoice([v2.RandomHorizontalFlip(), v2.RandomInvert()])),
    "RandomOrder": per_segment(lambda: v2.RandomOrder([v2.RandomHorizontalFlip(), v2.RandomInvert()])),
    "RandomApply": per_segment(lambda: v2.RandomApply([v2.ColorJitter(0.4)])),
    "kornia": per_segment(lambda: kornia.augmentation.RandomHorizontalFlip(p=0.5)),
    "albumentations": per_segment(lambda: albumentations.HorizontalFlip(p=0.5)),
    "callable": per_segment(lambda: torch.clone, TOKENS),
    "PositionJitter": Case(PositionJitter, {"accepts": TOKENS}),
    "PositionJitter, translate_scale": Case(
        lambda **arguments: PositionJitter(0.02, 0.1, mode="translate_scale", **arguments), {"accepts": TOKENS}
    ),
    "SegmentDrop": Case(lambda **arguments: SegmentDrop(**({"p": 0.5} | arguments)), {"accepts": TOKENS}),
    "TokenBudget": Case(lambda **arguments: TokenBudget(2, **arguments), {"accepts": TOKENS}),
    "TokenBudget, random": Case(
        lambda **arguments: TokenBudget(2, by="random", **arguments),
        {
            "accepts": TOKENS,
            "skip": {
                "is_equivariant_to_label_permutation": "of equal draws the earlier token stays",
                "segments_are_independent": "two stay, so that one does makes it less likely for another",
                "patterns_have_right_frequencies": "two stay, so that one does makes it less likely for another",
            },
        },
    ),
    "TokenBudget, drawn": Case(
        lambda **arguments: TokenBudget(3, 1, **arguments),
        {
            "accepts": TOKENS,
            "skip": {
                "batch_elements_are_independent": "one budget for all images, as documented",
                "patterns_have_right_frequencies": "the larger a segment, the rarer it is left out",
            },
        },
    ),
    "RandomMirror": Case(RandomMirror, {"accepts": TOKENS}),
    "TwoViews": Case(
        lambda **arguments: FirstView(PerSegment(v2.RandomHorizontalFlip()), **arguments), {"accepts": TOKENS}
    ),
    "SegmentMix": Case(
        lambda **arguments: SegmentMix(labels_getter=None, **arguments),
        {
            "accepts": "token_batch",
            "skip": {"twice_is_identity": "tokens that come back have been renamed on the way, as documented"},
        },
    ),
    "SegmentCopyPaste": Case(
        lambda **arguments: SegmentCopyPaste(labels_getter=None, **arguments), {"accepts": "token_batch"}
    ),
    "BackgroundSwap": Case(lambda **arguments: BackgroundSwap(**arguments), {"accepts": "token_batch"}),
}


@pytest.fixture(scope="session")
def samples(request):
    """How many samples each property is held against."""
    return request.config.getoption("samples")


def test_every_transform_is_here():
    named = " ".join(type(case.make()).__name__ + " " + name for name, case in CASES.items())
    for name in segaug.transforms.__all__:
        value = getattr(segaug.transforms, name)
        if isinstance(value, type) and issubclass(value, v2.Transform):
            assert name in named or name in NOT_HELD, name


@pytest.mark.parametrize("name", CASES)
def test_holds(name, samples):
    case = CASES[name]
    # Without a deadline no thread is started for each call: all in all it takes half the time.
    assert_augmentation(case.make(), factory=case.make, max_examples=samples, deadline=None, **case.options)
