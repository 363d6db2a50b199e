"""A batch is so many single samples, and padding is nothing."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import v2

from segaug import BackgroundSwap, PerSegment, RandomMirror, SegmentDrop, SegmentMix
from segaug.testing._augmentation import Augmentation
from segaug.testing._errors import NotApplicable, PropertyFailed
from segaug.testing._probes import make_probe
from segaug.testing.properties import batch_elements_do_not_interfere, batch_equals_singles, padding_changes_nothing
from segaug.testing.strategies import images, segment_tokens

FEW = settings(derandomize=True, deadline=None, max_examples=5)
SEEDS = st.integers(0, 2**16)
OF_TOKENS = {
    "colours": Augmentation(PerSegment(v2.ColorJitter(0.5, 0.5, 0.5, 0.2))),
    "blur": Augmentation(PerSegment(v2.RandomApply([v2.GaussianBlur(3)]))),
    "drop": Augmentation(SegmentDrop(0.5)),
    "mirror": Augmentation(RandomMirror()),
}
OF_IMAGES = {
    "colours": Augmentation(v2.ColorJitter(0.5, 0.5, 0.5, 0.2)),
    "flip": Augmentation(v2.RandomHorizontalFlip()),
    "equalize": Augmentation(v2.RandomEqualize(1.0)),
}


def plain(tensor):
    return tensor.as_subclass(torch.Tensor)


def hold(augmentation, sample, seed, *checks):
    for check in checks:
        try:
            check(augmentation, sample, seed=seed)
        except NotApplicable as error:
            assert "fewer than two" in str(error) or "no tokens" in str(error)  # noqa: PT017


@pytest.mark.parametrize("name", OF_TOKENS)
@FEW
@given(sample=segment_tokens(patch_size=(2, 3), batch=(1, 3)), seed=SEEDS)
def test_hold_for_batches_of_tokens(name, sample, seed):
    checks = (batch_equals_singles, batch_elements_do_not_interfere, padding_changes_nothing)
    hold(OF_TOKENS[name], sample, seed, *checks)
    hold(OF_TOKENS[name], sample[0], seed, batch_equals_singles, padding_changes_nothing)


@pytest.mark.parametrize("name", OF_IMAGES)
@FEW
@given(sample=images(max_side=6, channels=3, batch=(1, 3)), seed=SEEDS)
def test_hold_for_batches_of_images(name, sample, seed):
    hold(OF_IMAGES[name], sample, seed, batch_equals_singles, batch_elements_do_not_interfere)
    hold(OF_IMAGES[name], sample[0], seed, batch_equals_singles)


def test_an_axis_that_is_channels_only_of_a_single_image_is_found():
    def gray(image):
        return image.mean(0, keepdim=True).expand_as(image)

    batch = torch.rand(2, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    with pytest.raises(PropertyFailed, match=r"element 0 of the batch, draws pinned to 0.25: image\[0, 0, 0\] is"):
        batch_equals_singles(gray, batch)
    with pytest.raises(PropertyFailed, match="a batch of one under the same seed: image"):
        batch_equals_singles(gray, batch[0])


def test_other_draws_for_a_batch_are_no_bug():
    def darken(image):
        return image * (torch.rand(()) if image.ndim == 3 else torch.randn(len(image), 1, 1, 1).sigmoid())

    batch_equals_singles(lambda image: image * torch.rand((*image.shape[:-3], 1, 1, 1)), torch.ones(2, 1, 1, 1))
    with pytest.raises(PropertyFailed, match="element 0 of the batch, draws pinned"):
        batch_equals_singles(darken, torch.ones(1, 1, 1))


def test_a_mean_over_the_batch_is_found():
    def wash(image):
        return (image + image.mean()) / 2

    with pytest.raises(PropertyFailed, match="with other colours in element 1, element 0: image"):
        batch_elements_do_not_interfere(wash, torch.rand(2, 1, 2, 2), seed=1)
    with pytest.raises(NotApplicable, match="fewer than two elements"):
        batch_elements_do_not_interfere(wash, torch.rand(1, 1, 2, 2))


def test_a_mean_over_slots_is_found():
    def wash(sample):
        return replace(sample, areas=sample.areas * 0.5 + sample.areas.mean(-1, keepdim=True) * 0.5)

    single = make_probe("segment_tokens", 2, torch.uint8, 1, 2)
    with pytest.raises(PropertyFailed, match=r"with 2 more slots of padding, draws pinned to 0.25, tokens: areas\[0\]"):
        padding_changes_nothing(wash, single)
    with pytest.raises(NotApplicable, match="the sample has no tokens"):
        padding_changes_nothing(wash, single[:0])


@pytest.mark.parametrize("mixing", [SegmentMix(labels_getter=None), v2.Compose([BackgroundSwap()])])
@pytest.mark.parametrize("check", [batch_equals_singles, batch_elements_do_not_interfere])
def test_what_mixes_images_on_purpose_is_left_alone(mixing, check):
    with pytest.raises(NotApplicable, match="it mixes the images of a batch on purpose"):
        check(mixing, make_probe("token_batch", 2, torch.uint8, 1, 2))
