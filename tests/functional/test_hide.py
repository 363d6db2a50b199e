import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segaug.functional import hide_tokens


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=4),
    extra=st.integers(0, 3),
    ratio=st.floats(0.0, 1.0),
    seed=st.integers(0, 99),
)
def test_hides_a_share_of_each_image(lengths, extra, ratio, seed):
    generator = torch.Generator().manual_seed(seed)
    shape = (len(lengths), max(lengths) + extra)
    noise = torch.rand(shape, generator=generator)
    labels = torch.full(shape, -1)
    for row, length in zip(labels, lengths, strict=True):
        row[torch.randperm(shape[1], generator=generator)[:length]] = torch.arange(length)
    hidden = hide_tokens(labels, noise, ratio)
    assert not hidden[labels < 0].any()
    for count, length in zip(hidden.sum(-1).tolist(), lengths, strict=True):
        assert count == (0 if length < 2 else min(max(1, round(length * ratio)), length - 1))
    order = torch.randperm(shape[1], generator=generator)
    assert torch.equal(hide_tokens(labels[:, order], noise[:, order], ratio), hidden[:, order])
    # Numbers at padding mean nothing.
    assert torch.equal(hide_tokens(labels, noise.masked_fill(labels < 0, float("nan")), ratio), hidden)


def test_one_image():
    assert hide_tokens(torch.tensor([3, 0]), torch.tensor([0.9, 0.1]), 0.75).tolist() == [False, True]


@pytest.mark.parametrize(
    ("labels", "noise", "ratio", "error", "message"),
    [
        (torch.zeros(2), torch.zeros(2), 0.5, TypeError, "labels must be int64"),
        (torch.zeros(1, 2).long(), torch.zeros(2), 0.5, ValueError, "labels and noise must have one shape"),
        (torch.zeros(2).long(), torch.zeros(2), 1.5, ValueError, r"ratio must be in \[0.0, 1.0\], got 1.5"),
        (torch.zeros(2).long(), torch.zeros(2), "all", TypeError, "ratio must be a number"),
    ],
)
def test_bad_input(labels, noise, ratio, error, message):
    with pytest.raises(error, match=message):
        hide_tokens(labels, noise, ratio)
