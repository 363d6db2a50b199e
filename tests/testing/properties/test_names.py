"""Names of segments mean nothing, but for those of the background and padding."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import v2

from segaug import PerSegment, PositionJitter, SegmentDrop, SegmentMix
from segaug.testing._augmentation import Augmentation
from segaug.testing._errors import NotApplicable, PropertyFailed
from segaug.testing._probes import make_probe
from segaug.testing.properties import is_equivariant_to_label_permutation, leaves_sentinels_alone
from segaug.testing.strategies import segment_tokens, segmented_images

FEW = settings(derandomize=True, deadline=None, max_examples=5)
SEEDS = st.integers(0, 2**16)
RIGHT = {
    "flip": Augmentation(PerSegment(v2.RandomHorizontalFlip()), is_geometric=True),
    "colours": Augmentation(PerSegment(v2.ColorJitter(0.5, 0.5)), is_geometric=False),
    "places": Augmentation(PositionJitter(0.1, 0.1), is_geometric=False),
    "drop": Augmentation(SegmentDrop(0.5), is_geometric=True),
    "mix": Augmentation(SegmentMix(labels_getter=None), is_geometric=False),
}


def plain(tensor):
    return tensor.as_subclass(torch.Tensor)


def hold(check, augmentation, sample, seed):
    try:
        check(augmentation, sample, seed=seed)
    except NotApplicable as error:
        assert "the sample has" in str(error)  # noqa: PT017


@pytest.mark.parametrize("name", RIGHT)
@FEW
@given(sample=segment_tokens(patch_size=(2, 3), batch=(1, 3)), seed=SEEDS)
def test_hold_for_batches(name, sample, seed):
    hold(is_equivariant_to_label_permutation, RIGHT[name], sample, seed)
    hold(leaves_sentinels_alone, RIGHT[name], sample, seed)


@pytest.mark.parametrize("name", ["flip", "colours"])
@FEW
@given(sample=segmented_images(min_side=2, max_side=8), seed=SEEDS)
def test_names_mean_nothing_in_pictures(name, sample, seed):
    hold(is_equivariant_to_label_permutation, RIGHT[name], sample, seed)


def tokens(kind="segment_tokens"):
    sample = make_probe("segment_tokens", 3, torch.float32, 1, 3)
    return sample if kind == "segment_tokens" else make_probe(kind, 3, torch.float32, 1, 3)


def test_a_table_by_label_is_found():
    def darken(sample):
        factor = torch.rand(sample.num_tokens)
        return replace(sample, patches=plain(sample.patches) * factor[sample.labels - 1][:, None, None, None])

    with pytest.raises(PropertyFailed, match=r"with labels times 3: .* raised IndexError"):
        is_equivariant_to_label_permutation(darken, tokens())


def test_draws_for_each_possible_label_are_no_bug():
    def darken(sample):
        factor = torch.rand(int(sample.labels.max()) + 1)
        return replace(sample, patches=plain(sample.patches) * factor[sample.labels][:, None, None, None])

    is_equivariant_to_label_permutation(darken, tokens())


def test_a_law_by_rank_is_found_with_equal_draws():
    def darken(sample):
        rank = torch.arange(sample.num_tokens) / sample.num_tokens
        return replace(sample, patches=plain(sample.patches) * rank[:, None, None, None])

    sample = tokens()
    sample = replace(sample, patches=plain(sample.patches) * torch.tensor([1.0, 0.5, 0.25])[:, None, None, None])
    with pytest.raises(PropertyFailed, match=r"with labels in reverse and draws pinned to 0.25: patches\["):
        is_equivariant_to_label_permutation(darken, sample)


def test_samples_without_segments_and_draws_from_elsewhere_say_nothing():
    with pytest.raises(NotApplicable, match="no segments whose labels can grow"):
        is_equivariant_to_label_permutation(PositionJitter(), tokens()[:0])

    def shift(sample):
        import random

        return replace(sample, areas=sample.areas * random.random())

    with pytest.raises(NotApplicable, match="draws from elsewhere than torch"):
        is_equivariant_to_label_permutation(shift, tokens())


def test_labels_that_become_floats_are_for_another_property():
    with pytest.raises(NotApplicable, match="labels that are no integers"):
        is_equivariant_to_label_permutation(v2.ConvertImageDtype(), make_probe("segmented_image", 4, torch.uint8, 3, 2))


def padded():
    sample = tokens("token_batch")
    labels = sample.labels.clone()
    labels[0] = torch.tensor([1, 0, -1])
    boxes, areas = plain(sample.boxes).clone(), sample.areas.clone()
    patches, alpha = plain(sample.patches).clone(), plain(sample.alpha).clone()
    boxes[0, 1], boxes[0, 2], areas[0, 2], patches[0, 2], alpha[0, 2] = -1, 0, 0, 0, 0
    return replace(sample, patches=patches, alpha=alpha, boxes=boxes, areas=areas, labels=labels)


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("boxes", lambda x: plain(x).clamp(0, 1), "the background's boxes: .* is 0, expected -1"),
        ("areas", lambda x: x.clamp(min=1e-3), "padding's areas: .* is 0.001, expected 0"),
        ("patches", lambda x: 1 - plain(x), "padding's patches: .* is 1, expected 0"),
        ("labels", lambda x: x.clamp(min=0), r"image 0 has 2 background tokens, expected 1|the background's boxes"),
        ("labels", lambda x: torch.where(x < 0, -2, x), "padding's labels: .* is -2, expected -1"),
    ],
)
def test_changed_sentinels_are_found(name, wrong, message):
    with pytest.raises(PropertyFailed, match=message):
        leaves_sentinels_alone(lambda sample: replace(sample, **{name: wrong(getattr(sample, name))}), padded())


def test_sentinels_that_wander_are_found():
    with pytest.raises(PropertyFailed, match="where image 0 has segments"):
        leaves_sentinels_alone(lambda sample: sample[:, [1, 0, 2]], padded())


def test_sentinels_say_nothing_where_there_are_none_or_results_are_no_colours():
    with pytest.raises(NotApplicable, match="neither background nor padding"):
        leaves_sentinels_alone(PositionJitter(), tokens())
    with pytest.raises(NotApplicable, match="no colours"):
        leaves_sentinels_alone(v2.Normalize([0.5], [0.5]), padded())
