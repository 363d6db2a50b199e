import pickle

import pytest
import torch
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from segaug import (
    Grid,
    PerSegment,
    PositionJitter,
    Segment,
    SegmentDrop,
    SegmentMix,
    SegmentTokens,
    Tokenize,
    TwoViews,
    collate,
)
from segaug.transforms import Views

AUGMENT = v2.Compose([PerSegment(v2.RandomHorizontalFlip()), PositionJitter(0.05, 0.05), SegmentDrop(0.3)])


def same(one, other):
    return all(
        torch.equal(getattr(one, name), getattr(other, name))
        for name in ("patches", "alpha", "boxes", "areas", "labels")
        if getattr(one, name).shape == getattr(other, name).shape
    ) and (one.labels.shape == other.labels.shape)


def reverse(tokens):
    order = torch.arange(tokens.num_tokens - 1, -1, -1)
    return tokens[..., order]


@pytest.mark.parametrize("batch", [(), (5,), (2, 3)])
def test_views_are_matched_by_label(make_tokens, batch):
    tokens = make_tokens(8, batch=batch, padding=2)
    views = TwoViews(AUGMENT, v2.Compose([AUGMENT, reverse]), generator=torch.Generator().manual_seed(0))(tokens)
    assert isinstance(views, Views)
    match = views.match
    assert match.shape == views.first.labels.shape
    found = match >= 0
    assert found.any()
    assert not found.all()
    taken = views.second.labels.gather(-1, match.clamp(min=0))
    assert torch.equal(taken[found], views.first.labels[found])
    missing = views.first.labels[..., :, None] != views.second.labels[..., None, :]
    assert bool((missing.all(-1) | views.first.is_padding)[~found].all())
    assert not match[views.first.is_padding].ge(0).any()
    # The background is matched with the background.
    assert bool(found[views.first.is_background].all())


def test_views_are_independent(make_tokens):
    tokens = make_tokens(4000)
    flipped = []
    for view in TwoViews(PerSegment(v2.RandomHorizontalFlip()), generator=torch.Generator().manual_seed(0))(tokens):
        flipped.append((view.patches != tokens.patches).flatten(1).any(-1).double())
    assert all(abs(view.mean() - 0.5) < 0.03 for view in flipped)
    assert abs(torch.corrcoef(torch.stack(flipped))[0, 1]) < 0.05


def test_another_transform_for_the_second(make_tokens):
    tokens = make_tokens(5)
    views = TwoViews(v2.Identity(), SegmentDrop(1.0))(tokens)
    assert same(views.first, tokens)
    assert views.second.labels.tolist() == [0]
    assert views.match.tolist() == [-1] * 5 + [0]


def test_match_holds_after_later_changes(make_tokens):
    views = TwoViews(v2.Identity())(make_tokens(3))
    assert views.match.tolist() == [0, 1, 2, 3]
    first, second = SegmentDrop(1.0)(views)
    later = SegmentDrop(1.0)(views)
    assert isinstance(later, Views)
    assert later.match.tolist() == [0]
    assert first.labels.tolist() == second.labels.tolist() == [0]


@pytest.mark.parametrize("looped", [False, True])
def test_kept_draws_are_applied_again(make_tokens, looped):
    tokens = make_tokens(6)
    transform = v2.Compose([AUGMENT, PerSegment(v2.ColorJitter(0.4), vectorized=not looped)])
    views = TwoViews(transform)
    params = views.make_params([tokens])
    first = views.transform(tokens, params)
    torch.rand(5)
    again = TwoViews(transform).transform(tokens, pickle.loads(pickle.dumps(params)))
    assert same(first.first, again.first)
    assert same(first.second, again.second)
    assert not same(first.first, first.second)


def test_draws_from_the_given_generator_or_the_default_one(make_tokens):
    tokens = make_tokens(12)
    torch.manual_seed(3)
    first, second = TwoViews(AUGMENT)(tokens), TwoViews(AUGMENT)(tokens)
    assert not same(first.first, second.first)
    state = torch.get_rng_state()
    again = TwoViews(AUGMENT, generator=torch.Generator().manual_seed(3))(tokens)
    assert torch.equal(torch.get_rng_state(), state)
    assert same(first.first, again.first)
    assert same(first.second, again.second)


def test_the_stream_is_put_back_if_a_view_fails(make_tokens):
    def fail(tokens):
        torch.rand(5)
        raise RuntimeError("no view")

    two = TwoViews(fail, generator=torch.Generator().manual_seed(3))
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="no view"):
        two(make_tokens(2))
    assert torch.equal(torch.get_rng_state(), state)


def test_in_a_loader(photo):
    pipeline = v2.Compose([Tokenize(size=8), TwoViews(SegmentDrop(0.4))])
    samples = [(pipeline(Segment(Grid(rows, 4))(photo)), rows) for rows in (2, 3, 4)]
    views, targets = next(iter(DataLoader(samples, batch_size=3, collate_fn=collate)))
    assert isinstance(views, Views)
    assert targets.tolist() == [2, 3, 4]
    assert views.match.shape == views.first.labels.shape
    for i, (sample, _) in enumerate(samples):
        assert views.match[i, : sample.first.num_tokens].tolist() == sample.match.tolist()
        assert set(views.match[i, sample.first.num_tokens :].tolist()) <= {-1}


def test_shows_what_it_wraps():
    assert "SegmentDrop" in repr(TwoViews(SegmentDrop(0.5)))
    assert repr(TwoViews(SegmentDrop(0.5), PositionJitter())).count("(p=0.5") == 1


class TestBadInput:
    def test_arguments(self):
        with pytest.raises(TypeError, match="transform must be callable, got 5"):
            TwoViews(5)
        with pytest.raises(TypeError, match="other must be callable, got 5"):
            TwoViews(AUGMENT, 5)
        with pytest.raises(TypeError, match="transform must be an instance, got the class SegmentDrop"):
            TwoViews(SegmentDrop)
        with pytest.raises(TypeError, match=r"generator must be a torch.Generator or None, got 5"):
            TwoViews(AUGMENT, generator=5)

    def test_what_a_view_may_be(self, make_tokens):
        tokens = make_tokens(2, batch=(2,))
        with pytest.raises(TypeError, match="transform must return SegmentTokens for the first view, got None"):
            TwoViews(lambda tokens: None)(tokens)
        with pytest.raises(ValueError, match="transform must return the same images for the second view"):
            TwoViews(v2.Identity(), lambda tokens: tokens[0])(tokens)

    def test_samples(self, photo, make_tokens):
        with pytest.raises(TypeError, match="TwoViews takes SegmentTokens, got"):
            TwoViews(AUGMENT)(photo)
        views = TwoViews(v2.Identity())(make_tokens(2, batch=(2,)))
        assert isinstance(views.first, SegmentTokens)
        with pytest.raises(ValueError, match="exactly one batch of SegmentTokens, got 2"):
            SegmentMix(labels_getter=None)(views)
