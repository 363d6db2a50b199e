import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segaug import SegmentTokens, collate
from segaug.structures import concatenate

FIELDS = ("patches", "alpha", "boxes", "areas", "labels")


def plain(tensor):
    return tensor.as_subclass(torch.Tensor)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    counts=st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 2)), min_size=1, max_size=4),
    seed=st.integers(0, 100),
)
def test_every_token_is_there_once_and_one_background(make_tokens, counts, seed):
    parts = [
        make_tokens(num, background=background, padding=padding, seed=seed + i)
        for i, (num, background, padding) in enumerate(counts)
    ]
    out = concatenate(parts)
    SegmentTokens(*(getattr(out, name) for name in FIELDS))
    shown = [(part, int(i)) for part in parts for i in (part.labels > 0).nonzero()]
    shown += [(part, int(part.is_background.nonzero()[0, 0])) for part in parts if part.is_background.any()][:1]
    assert out.num_tokens == len(shown)
    for name in FIELDS[:4]:
        for i, (part, place) in enumerate(shown):
            assert torch.equal(plain(getattr(out, name))[i], plain(getattr(part, name))[place]), name
    foreground = out.labels[out.labels > 0]
    # Ascending and unique; each part's keep their distances.
    assert (foreground.diff() > 0).all()
    assert torch.equal(out.labels[len(foreground) :], torch.zeros(int(any(c[1] for c in counts)), dtype=torch.int64))
    raised = 0
    for part in parts:
        own = part.labels[part.labels > 0]
        assert torch.equal(foreground[: len(own)], own + raised)
        foreground = foreground[len(own) :]
        raised += int(own.max()) if len(own) else 0


def test_one_part_stays_as_it_is(make_tokens):
    tokens = make_tokens(3)
    for name in FIELDS:
        assert torch.equal(getattr(concatenate([tokens]), name), getattr(tokens, name))


def test_bad_parts(make_tokens):
    with pytest.raises(ValueError, match="parts must hold at least one SegmentTokens, got none"):
        concatenate([])
    with pytest.raises(TypeError, match="parts must all be SegmentTokens, got 5"):
        concatenate([make_tokens(2), 5])
    with pytest.raises(ValueError, match=r"parts must be of single images with labels \(N,\), got labels \(2, 3\)"):
        concatenate([collate([make_tokens(2), make_tokens(1)])])
    for other in (make_tokens(2, size=4), make_tokens(2, channels=1), make_tokens(2, dtype=torch.float32)):
        with pytest.raises(ValueError, match="patches must agree in channels, size, dtype and device, got"):
            concatenate([make_tokens(2), other])
