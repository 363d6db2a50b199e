import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segaug.functional import limit_tokens


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    images=st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=4),
    padding=st.integers(0, 2),
    most=st.integers(0, 8),
    levels=st.sampled_from([1, 2, 1000]),
    seed=st.integers(0, 100),
)
def test_the_plan(images, padding, most, levels, seed):
    generator = torch.Generator().manual_seed(seed)
    longest = max(num + background for num, background in images) + padding
    labels = torch.full((len(images), longest), -1)
    for row, (num, background) in zip(labels, images, strict=True):
        row[:num] = torch.arange(1, num + 1) * 3
        if background:
            row[num] = 0
    scores = torch.randint(levels, labels.shape, generator=generator) / levels - 0.5
    index = limit_tokens(labels, scores, most)
    kept = [slots[slots >= 0].tolist() for slots in index]
    for i, (num, background) in enumerate(images):
        ranked = sorted(range(num), key=lambda j, i=i: (-scores[i, j].item(), j))[:most]
        expected = [i * longest + j for j in sorted(ranked) + [num] * background]
        assert index[i].tolist() == expected + [-1] * (index.shape[1] - len(expected))
    assert index.shape[1] == max(len(slots) for slots in kept)


def test_nothing():
    assert limit_tokens(torch.zeros(3, 0, dtype=torch.int64), torch.zeros(3, 0), 2).shape == (3, 0)
    assert limit_tokens(torch.zeros(0, 4, dtype=torch.int64), torch.zeros(0, 4), 2).shape == (0, 0)
    assert limit_tokens(torch.full((2, 3), -1), torch.zeros(2, 3), 2).shape == (2, 0)


def test_bad_input():
    labels, scores = torch.ones(2, 3, dtype=torch.int64), torch.zeros(2, 3)
    with pytest.raises(ValueError, match="most must be at least 0, got -1"):
        limit_tokens(labels, scores, -1)
    with pytest.raises(TypeError, match=r"most must be an int, got 2\.0"):
        limit_tokens(labels, scores, 2.0)
    with pytest.raises(TypeError, match="labels must be int64, got Tensor of shape"):
        limit_tokens(labels.int(), scores, 2)
    for one, other in ((labels[0], scores[0]), (labels, scores[:, :2]), (labels, scores[0])):
        with pytest.raises(ValueError, match=r"labels and scores must have one shape \(B, N\), got"):
            limit_tokens(one, other, 2)
