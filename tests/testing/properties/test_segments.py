"""Masks are kept to, and one segment is nothing to another."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import v2

from segaug import PerSegment, PositionJitter, SegmentDrop, SegmentedImage, SegmentMap, SegmentMix
from segaug.testing._augmentation import Augmentation
from segaug.testing._errors import NotApplicable, PropertyFailed
from segaug.testing._probes import make_probe
from segaug.testing.properties import conserves_partition, is_identity_outside_masks, segments_do_not_interfere
from segaug.testing.strategies import segment_tokens, segmented_images

PROPERTIES = (is_identity_outside_masks, segments_do_not_interfere, conserves_partition)
FEW = settings(derandomize=True, deadline=None, max_examples=5)
SEEDS = st.integers(0, 2**16)
RIGHT = {
    "flip": Augmentation(PerSegment(v2.RandomHorizontalFlip()), is_geometric=True),
    "colours": Augmentation(PerSegment(v2.ColorJitter(0.5, 0.5), background=False), is_geometric=False),
    "blur": Augmentation(PerSegment(v2.RandomApply([v2.GaussianBlur(3)])), is_geometric=False),
    "drop": Augmentation(SegmentDrop(0.5), is_geometric=True),
    "mix": Augmentation(SegmentMix(labels_getter=None), is_geometric=False),
}


def tokens(kind="segment_tokens"):
    return make_probe(kind, 4, torch.float32, 1, 3)


def picture():
    return make_probe("segmented_image", 4, torch.float32, 1, 3)


def plain(tensor):
    return tensor.as_subclass(torch.Tensor)


def hold(augmentation, sample, seed):
    for check in PROPERTIES:
        try:
            check(augmentation, sample, seed=seed)
        except NotApplicable:
            continue


@pytest.mark.parametrize("name", ["flip", "colours", "blur", "drop"])
@FEW
@given(sample=segment_tokens(patch_size=(2, 4)), seed=SEEDS)
def test_hold_for_tokens(name, sample, seed):
    hold(RIGHT[name], sample, seed)


@pytest.mark.parametrize("name", ["colours", "drop", "mix"])
@FEW
@given(sample=segment_tokens(patch_size=(2, 3), batch=(1, 3)), seed=SEEDS)
def test_hold_for_batches(name, sample, seed):
    hold(RIGHT[name], sample, seed)


@pytest.mark.parametrize("name", ["flip", "colours"])
@FEW
@given(sample=segmented_images(min_side=2, max_side=8), seed=SEEDS)
def test_hold_for_pictures(name, sample, seed):
    hold(RIGHT[name], sample, seed)


def test_colour_outside_the_coverage_is_found():
    def lift(sample):
        return replace(sample, patches=plain(sample.patches) + 0.25 * (plain(sample.patches) < 0.5))

    with pytest.raises(PropertyFailed, match=r"where alpha is 0: patches\[0, 0, 0, 0\] is 0.25, expected 0"):
        is_identity_outside_masks(lift, tokens())


def test_coverage_that_moves_is_found_where_nothing_should():
    def flip(sample):
        return replace(sample, patches=sample.patches.flip(-1), alpha=sample.alpha.flip(-1))

    is_identity_outside_masks(flip, tokens())
    with pytest.raises(PropertyFailed, match=r"alpha, as it moves no pixels: image\[0, 0, 0\] is 1, expected 0"):
        is_identity_outside_masks(Augmentation(flip, is_geometric=False), tokens())


def test_a_changed_background_is_found_where_it_should_stay():
    invert = PerSegment(v2.RandomInvert(1))
    with pytest.raises(PropertyFailed, match=r"outside the segments: image\[0, 0, 0\] is"):
        is_identity_outside_masks(Augmentation(invert, is_geometric=False), picture(), background=False)
    with pytest.raises(NotApplicable, match="it transforms label 0 as a segment"):
        is_identity_outside_masks(Augmentation(invert, is_geometric=False), picture())
    with pytest.raises(NotApplicable, match="whether it leaves label 0 alone is not known"):
        is_identity_outside_masks(v2.RandomInvert(1), picture())
    flip = PerSegment(v2.RandomHorizontalFlip(), background=False)
    with pytest.raises(NotApplicable, match="it moves pixels"):
        is_identity_outside_masks(Augmentation(flip, is_geometric=True), picture())


def test_results_that_are_no_colours_are_left_alone():
    with pytest.raises(NotApplicable, match="its results are no colours"):
        is_identity_outside_masks(v2.Normalize([0.5], [0.5]), tokens())


@pytest.mark.parametrize("kind", ["segment_tokens", "token_batch"])
def test_a_mean_over_the_tokens_is_found(kind):
    def wash(sample):
        patches = plain(sample.patches)
        return replace(sample, patches=torch.lerp(patches, patches.mean() * plain(sample.alpha).unsqueeze(-3), 0.5))

    with pytest.raises(PropertyFailed, match=r"with other colours in the token at \[.*1\] \(label 2\), another token"):
        segments_do_not_interfere(wash, tokens(kind), seed=1)


def test_a_leak_over_the_border_is_found_only_in_what_treats_segments_apart():
    def blur(sample, p=1.0):
        soft = torch.nn.functional.avg_pool2d(plain(sample.image), 3, 1, 1, count_include_pad=False)
        chosen = plain(sample.segments) % 2 == 1
        return replace(sample, image=torch.where(chosen, soft, plain(sample.image)))

    with pytest.raises(PropertyFailed, match=r"with other colours in label \d, another segment's image: image\["):
        segments_do_not_interfere(Augmentation(blur, is_geometric=False), picture())
    with pytest.raises(NotApplicable, match="it pays no regard to the map"):
        segments_do_not_interfere(Augmentation(v2.GaussianBlur(3), is_geometric=False), picture())
    with pytest.raises(NotApplicable, match="whether it moves pixels is not known"):
        segments_do_not_interfere(blur, picture())


def test_one_segment_interferes_with_none():
    with pytest.raises(NotApplicable, match="fewer than two segments"):
        segments_do_not_interfere(PositionJitter(), tokens()[:1])


def test_lost_and_made_up_labels_are_found():
    with pytest.raises(PropertyFailed, match=r"the labels of image 0 are \[1, 2\], expected \[1, 2, 3\]"):
        conserves_partition(lambda sample: sample[:-1], tokens())
    conserves_partition(lambda sample: sample[:-1], tokens(), drops=True)
    with pytest.raises(PropertyFailed, match=r"the labels of image 0 are \[1, 1, 2, 3\], expected a part of"):
        conserves_partition(lambda sample: sample[[0, 0, 1, 2]], tokens(), drops=True)
    with pytest.raises(PropertyFailed, match="the map has label 4, which was not there"):
        conserves_partition(lambda sample: replace(sample, segments=sample.segments + 1), picture())


def test_a_map_that_changes_is_found_where_it_should_not():
    sample = SegmentedImage(torch.zeros(1, 1, 2), SegmentMap([[1, 2]]))
    turn = Augmentation(v2.RandomHorizontalFlip(1), is_geometric=False)
    with pytest.raises(PropertyFailed, match="the map, as it moves no pixels"):
        conserves_partition(turn, sample)


def test_what_exchanges_tokens_renames_them_on_purpose():
    with pytest.raises(NotApplicable, match="it exchanges tokens between images"):
        conserves_partition(SegmentMix(labels_getter=None), tokens("token_batch"))
