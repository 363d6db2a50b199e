import copy
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import v2

from segaug import SegmentDrop, SegmentedImage, SegmentTokens, collate

FIELDS = ("patches", "alpha", "boxes", "areas", "labels")


def plain(tensor):
    return tensor.as_subclass(torch.Tensor)


def assert_part_of(out, tokens):
    """One image: what is left is as it was, in its order."""
    left = out[~out.is_padding]
    rows = [tokens.labels.tolist().index(label) for label in left.labels.tolist()]
    assert rows == sorted(rows)
    for name in FIELDS:
        assert torch.equal(plain(getattr(left, name)), plain(getattr(tokens, name))[rows]), name


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    num=st.integers(0, 8),
    padding=st.integers(0, 2),
    background=st.booleans(),
    batch=st.sampled_from([(), (1,), (4,), (2, 3), (0,)]),
    p=st.sampled_from([0.0, 0.3, 0.9, 1.0]),
    seed=st.integers(0, 100),
)
def test_what_is_left_is_as_it_was(make_tokens, num, padding, background, batch, p, seed):
    tokens = make_tokens(num, batch=batch, background=background, padding=padding, seed=seed)
    before = copy.deepcopy(tokens)
    out = SegmentDrop(p, generator=torch.Generator().manual_seed(seed))(tokens)
    for name in FIELDS:
        assert torch.equal(plain(getattr(tokens, name)), plain(getattr(before, name)))
        assert type(getattr(out, name)) is type(getattr(tokens, name))
        assert getattr(out, name).dtype == getattr(tokens, name).dtype
    SegmentTokens(*(getattr(out, name) for name in FIELDS))
    assert out.labels.shape[:-1] == batch
    images = torch.Size(batch).numel()

    def flatten(whole):
        parts = (plain(getattr(whole, name)) for name in FIELDS)
        return [part.flatten(0, len(batch) - 1) if batch else part[None] for part in parts]

    flat_out, flat_in = flatten(out), flatten(tokens)
    longest = 0
    for i in range(images):
        one, whole = (SegmentTokens(*(field[i] for field in flat)) for flat in (flat_out, flat_in))
        assert_part_of(one, whole)
        kept = int((~one.is_padding).sum())
        longest = max(longest, kept)
        # Padding is behind, and empty.
        assert not one.is_padding[:kept].any()
        for name in FIELDS[:4]:
            assert not plain(getattr(one, name))[kept:].any()
        assert bool(one.is_background.any()) == background
        if num or background:
            assert kept >= 1
        if p == 0.0:
            assert kept == num + background
        if p == 1.0 and not background and num:
            assert one.labels[0] == whole.labels[whole.areas.argmax()]
    is_whole = int((~out.is_padding).sum()) == int((~tokens.is_padding).sum())
    if images:
        # Where none is left out, padding stays as well.
        assert out.labels.shape[-1] == (num + background + padding if is_whole else longest)


def test_each_segment_by_its_own_draw(make_tokens):
    tokens = make_tokens(3, batch=(8000,), size=1)
    torch.manual_seed(0)
    out = SegmentDrop(0.3)(tokens)
    shown = torch.stack([(out.labels == label).any(-1) for label in (1, 2, 3)], -1).double()
    assert (shown.mean(0) - 0.7).abs().max() < 0.02
    assert (torch.corrcoef(shown.T) - torch.eye(3)).abs().max() < 0.04


def test_the_largest_stays_where_nothing_else_would(make_tokens):
    tokens = make_tokens(3, background=False)
    areas = torch.tensor([0.1, 0.3, 0.2])
    tokens = SegmentTokens(tokens.patches, tokens.alpha, tokens.boxes, areas, tokens.labels)
    assert SegmentDrop(1.0)(tokens).labels.tolist() == [2]
    batch = collate([tokens, make_tokens(2)])
    assert SegmentDrop(1.0)(batch).labels.tolist() == [[2], [0]]


def test_draws_from_the_given_generator_or_the_default_one(make_tokens):
    tokens = make_tokens(30)
    torch.manual_seed(1)
    first, second = SegmentDrop(0.5)(tokens), SegmentDrop(0.5)(tokens)
    torch.manual_seed(1)
    assert torch.equal(first.labels, SegmentDrop(0.5)(tokens).labels)
    assert not torch.equal(first.labels, second.labels)
    state = torch.get_rng_state()
    drop = SegmentDrop(0.5, generator=torch.Generator().manual_seed(1))
    assert torch.equal(drop(tokens).labels, first.labels)
    assert torch.equal(torch.get_rng_state(), state)


def test_in_a_compose_with_a_target(make_tokens):
    out, target = v2.Compose([SegmentDrop(1.0), v2.ToDtype(torch.float32, scale=True)])(make_tokens(3), 5)
    assert (out.labels.tolist(), out.patches.dtype, target) == ([0], torch.float32, 5)


def test_pickles():
    assert pickle.loads(pickle.dumps(SegmentDrop(0.25))).p == 0.25


class TestBadInput:
    @pytest.mark.parametrize("p", [-0.1, 1.1, float("nan"), float("inf"), 2])
    def test_p(self, p):
        with pytest.raises(ValueError, match=rf"p must be in \[0.0, 1.0\], got {p}"):
            SegmentDrop(p)

    @pytest.mark.parametrize("p", [None, "0.5", True, [0.5]])
    def test_no_number(self, p):
        with pytest.raises(TypeError, match="p must be a number, got"):
            SegmentDrop(p)

    def test_generator(self):
        with pytest.raises(TypeError, match=r"generator must be a torch.Generator or None, got 5"):
            SegmentDrop(generator=5)

    def test_samples_without_tokens(self, photo, make_map):
        with pytest.raises(TypeError, match="SegmentDrop takes SegmentTokens, got SegmentedImage"):
            SegmentDrop()(SegmentedImage(photo, make_map(72, 96, 3)))
        with pytest.raises(TypeError, match="SegmentDrop takes SegmentTokens, got"):
            SegmentDrop()(photo)


def test_padding_stays_where_nothing_is_left_out(make_tokens):
    for tokens in (make_tokens(3, padding=2), make_tokens(3, batch=(2,), padding=2)):
        assert SegmentDrop(0.0)(tokens).labels.tolist() == tokens.labels.tolist()
