"""What is outside the mask does not count."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import v2

from segaug import PerSegment
from segaug.testing._augmentation import Augmentation
from segaug.testing._errors import NotApplicable, PropertyFailed
from segaug.testing._probes import make_probe
from segaug.testing.properties import filler_changes_nothing
from segaug.testing.strategies import segment_tokens


@pytest.mark.parametrize(
    "transform",
    [
        v2.ColorJitter(0.5, 0.5, 0.5, 0.2),
        v2.RandomAutocontrast(1.0),
        v2.RandomEqualize(1.0),
        v2.RandomPosterize(3, 1.0),
    ],
    ids=lambda transform: type(transform).__name__,
)
@settings(derandomize=True, deadline=None, max_examples=4)
@given(sample=segment_tokens(patch_size=(1, 4)), seed=st.integers(0, 2**16))
def test_holds_for_colours(transform, sample, seed):
    filler_changes_nothing(Augmentation(PerSegment(transform), is_geometric=False), sample, seed=seed)


def test_black_in_the_mean_is_found():
    def wash(sample):
        patches, alpha = sample.patches.as_subclass(torch.Tensor), sample.alpha.as_subclass(torch.Tensor)
        return replace(sample, patches=(patches + patches.mean((-3, -2, -1), keepdim=True) * alpha[:, None]) / 2)

    sample = make_probe("segment_tokens", 2, torch.float32, 1, 2)
    with pytest.raises(PropertyFailed, match=r"with black filler around, draws pinned to 0.25: patches\["):
        filler_changes_nothing(wash, sample)


@pytest.mark.parametrize("transform", [v2.GaussianBlur(3), v2.RandomErasing(1.0)])
def test_what_looks_at_places_is_left_alone(transform):
    sample = make_probe("segment_tokens", 4, torch.float32, 1, 2)
    with pytest.raises(NotApplicable, match="it looks at where pixels are"):
        filler_changes_nothing(Augmentation(PerSegment(transform), is_geometric=False), sample, seed=3)


def test_geometry_is_left_alone():
    sample = make_probe("segment_tokens", 4, torch.float32, 1, 2)
    with pytest.raises(NotApplicable, match="it moves pixels"):
        filler_changes_nothing(Augmentation(PerSegment(v2.RandomHorizontalFlip()), is_geometric=True), sample)
    with pytest.raises(NotApplicable, match="it changes the size"):
        filler_changes_nothing(PerSegment(v2.RandomResizedCrop(2)), sample)


def test_a_callable_sees_the_mean_colour_around():
    sample = make_probe("segment_tokens", 4, torch.float32, 1, 2)
    with pytest.raises(NotApplicable, match="the segment's mean colour around it"):
        filler_changes_nothing(PerSegment(lambda image: image / 2), sample)
