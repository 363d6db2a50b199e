import copy
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from segaug import SegmentCopyPaste


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    images=st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=4),
    padding=st.integers(0, 2),
    p=st.sampled_from([0.0, 0.5, 1.0]),
    most=st.sampled_from([None, 1, 3, 6]),
    seed=st.integers(0, 1000),
)
def test_an_image_keeps_its_own_and_gets_copies(make_marked, check_packed, images, padding, p, most, seed):
    tokens = make_marked(images, padding=padding, seed=seed)
    before = copy.deepcopy(tokens)
    batch = len(images)
    paste = SegmentCopyPaste(num_classes=batch, p=p, max_segments=most, generator=torch.Generator().manual_seed(seed))
    params = paste.make_params([tokens])
    out, mixed = paste.transform((tokens, torch.arange(batch)), params)
    assert torch.equal(tokens.patches, before.patches)
    assert torch.equal(tokens.labels, before.labels)
    marks = check_packed(out, tokens)
    assert (mixed.sum(-1) - 1).abs().max() < 1e-6
    for i in range(batch):
        own = [16 * i + j for j, label in enumerate(tokens.labels[i].tolist()) if label >= 0]
        other = (i - 1) % batch
        drawn = [
            16 * other + j
            for j, label in enumerate(tokens.labels[other].tolist())
            if label > 0 and bool(params["copied"][other, j]) and other != i
        ]
        if most is not None:
            drawn.sort(key=lambda mark: -tokens.areas[mark // 16, mark % 16].item())
            drawn = drawn[: max(most - images[i][0], 0)]
        assert sorted(marks[i][marks[i] >= 0].tolist()) == sorted(own + drawn)
        # Own tokens keep their labels.
        labels = dict(zip(marks[i].tolist(), out.labels[i].tolist(), strict=True))
        assert all(labels[mark] == tokens.labels[i, mark % 16] for mark in own)
        areas = {k: sum(tokens.areas[k, m % 16].item() for m in own + drawn if m // 16 == k) for k in range(batch)}
        total = sum(areas.values())
        for k in range(batch):
            assert abs(mixed[i, k].item() - (areas[k] / total if total else float(i == k))) < 1e-6


def test_each_by_its_own_draw(make_marked):
    tokens = make_marked([(4, True)] * 2500)
    paste = SegmentCopyPaste(p=0.3, labels_getter=None, generator=torch.Generator().manual_seed(0))
    counts = (paste(tokens).labels > 0).sum(-1) - 4
    observed = torch.bincount(counts, minlength=5).numpy()
    assert stats.chisquare(observed, stats.binom(4, 0.3).pmf(range(5)) * 2500).pvalue > 0.01


def test_kept_draws_are_applied_again(make_marked):
    tokens, targets = make_marked([(3, True), (5, False)]), torch.eye(2)
    paste = SegmentCopyPaste(generator=torch.Generator().manual_seed(1))
    params = paste.make_params([tokens])
    first, first_targets = paste.transform((tokens, targets), params)
    again, again_targets = SegmentCopyPaste().transform((tokens, targets), pickle.loads(pickle.dumps(params)))
    assert torch.equal(first_targets, again_targets)
    assert torch.equal(first.patches, again.patches)
    assert torch.equal(first.labels, again.labels)


def test_draws_from_the_given_generator_or_the_default_one(make_marked):
    tokens, targets = make_marked([(4, True)] * 6), torch.arange(6)
    torch.manual_seed(5)
    first, second = (SegmentCopyPaste(num_classes=6)(tokens, targets)[1] for _ in range(2))
    assert not torch.equal(first, second)
    state = torch.get_rng_state()
    paste = SegmentCopyPaste(num_classes=6, generator=torch.Generator().manual_seed(5))
    assert torch.equal(paste(tokens, targets)[1], first)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("images", [[(3, True)], [(0, False)] * 2, []])
def test_nothing_to_copy(make_marked, images):
    tokens = make_marked(images)
    out, mixed = SegmentCopyPaste(num_classes=2, p=1.0)(tokens, torch.arange(len(images)))
    assert torch.equal(out.labels, tokens.labels)
    assert torch.equal(mixed, torch.eye(2)[: len(images)])


def test_pickles():
    paste = pickle.loads(pickle.dumps(SegmentCopyPaste(num_classes=7, p=0.25, max_segments=9)))
    assert (paste.num_classes, paste.p, paste.max_segments) == (7, 0.25, 9)


class TestBadInput:
    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"p": -0.5}, ValueError, r"p must be in \[0.0, 1.0\], got -0.5"),
            ({"max_segments": 0}, ValueError, "max_segments must be at least 1, got 0"),
            ({"max_segments": 1.5}, TypeError, "max_segments must be an int, got 1.5"),
            ({"generator": 5}, TypeError, "generator must be a torch.Generator or None, got 5"),
        ],
    )
    def test_arguments(self, options, error, message):
        with pytest.raises(error, match=message):
            SegmentCopyPaste(**options)
