import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segaug.functional import (
    area_shares,
    match_tokens,
    merge_tokens,
    roll_partners,
    swap_background,
    take_tokens,
)

INTS = torch.zeros(2, 3, dtype=torch.int64)
BOOLS = torch.zeros(2, 3, dtype=torch.bool)


@st.composite
def label_batches(draw, most=5):
    """(B, N) labels as ``collate`` makes them: ascending, then perhaps the background, then padding."""
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        row = sorted(draw(st.sets(st.integers(1, 9), max_size=most)))
        rows.append(row + [0] * draw(st.booleans()))
    width = max(map(len, rows)) + draw(st.integers(0, 2))
    return torch.tensor([row + [-1] * (width - len(row)) for row in rows], dtype=torch.int64).view(len(rows), width)


def masks(draw, like):
    bits = draw(st.lists(st.booleans(), min_size=like.numel(), max_size=like.numel()))
    return torch.tensor(bits, dtype=torch.bool).view(like.shape)


@pytest.mark.parametrize("size", range(7))
def test_partners_stand_in_a_ring(size):
    for bits in range(2**size):
        takes_part = [bool(bits >> i & 1) for i in range(size)]
        source = roll_partners(torch.tensor(takes_part, dtype=torch.bool)).tolist()
        ring = [i for i in range(size) if takes_part[i]]
        expected = list(range(size))
        for place, i in enumerate(ring):
            expected[i] = ring[place - 1]
        assert source == expected


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), labels=label_batches())
def test_merged_images_are_what_a_loop_makes(data, labels):
    stays, received = masks(data.draw, labels), masks(data.draw, labels)
    batch, num = labels.shape
    source = torch.tensor(data.draw(st.lists(st.integers(0, batch - 1), min_size=batch, max_size=batch)))
    index, new_labels = merge_tokens(labels, stays, received, source)
    longest = 0
    for i in range(batch):
        own = labels[i].tolist()
        largest = max([*own, 0])
        tokens = [(own[j], i * num + j) for j in range(num) if stays[i, j] and own[j] >= 0]
        other = int(source[i])
        theirs = labels[other].tolist()
        tokens += [(theirs[j] + largest, other * num + j) for j in range(num) if received[i, j] and theirs[j] > 0]
        tokens.sort(key=lambda token: (token[0] == 0, token[0]))
        longest = max(longest, len(tokens))
        padding = [-1] * (index.shape[1] - len(tokens))
        assert new_labels[i].tolist() == [label for label, _ in tokens] + padding
        assert index[i].tolist() == [slot for _, slot in tokens] + padding
    assert index.shape == new_labels.shape == (batch, longest)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data(), labels=label_batches())
def test_backgrounds_change_places_and_nothing_else(data, labels):
    takes_part = masks(data.draw, labels.new_zeros(len(labels))) & (labels == 0).any(-1)
    source = roll_partners(takes_part)
    index = swap_background(labels, source)
    slots = torch.arange(labels.numel()).view(labels.shape)
    assert torch.equal(
        torch.where(labels != 0, index, 0), torch.where(labels != 0, slots, 0).masked_fill(labels < 0, -1)
    )
    for i in range(len(labels)):
        if (labels[i] == 0).any():
            other = int(source[i])
            assert index[i][labels[i] == 0].tolist() == slots[other][labels[other] == 0].tolist()
    assert sorted(index[labels >= 0].tolist()) == slots[labels >= 0].tolist()


def test_an_image_without_background_gives_none():
    labels = torch.tensor([[1, 0], [1, 2]])
    assert swap_background(labels, torch.tensor([1, 0])).tolist() == [[0, 1], [2, 3]]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.int64])
def test_taken_tokens(dtype):
    values = torch.arange(24).view(2, 3, 2, 2).to(dtype)
    index = torch.tensor([[5, 0], [-1, 2]])
    taken = take_tokens(values, index)
    assert taken.dtype == dtype
    assert torch.equal(taken[0, 0], values[1, 2])
    assert torch.equal(taken[0, 1], values[0, 0])
    assert not taken[1, 0].any()
    assert torch.equal(taken[1, 1], values[0, 2])
    assert take_tokens(torch.ones(2, 3, dtype=torch.int64), index, fill=-1).tolist() == [[1, 1], [-1, 1]]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(batch=st.integers(1, 4), num=st.integers(0, 40), seed=st.integers(0, 1000))
def test_shares_are_sums_over_the_area(batch, num, seed):
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(-1, batch, (batch, num), generator=generator)
    areas = torch.rand((batch, num), generator=generator)
    areas[0] = 0
    shares = area_shares(areas, image)
    assert (shares.float().sum(-1) - 1).abs().max() < 1e-6
    for i in range(batch):
        total = sum(areas[i, j].item() for j in range(num) if image[i, j] >= 0)
        for k in range(batch):
            part = sum(areas[i, j].item() for j in range(num) if image[i, j] == k)
            assert abs(shares[i, k].item() - (part / total if total else float(i == k))) < 1e-9


def test_one_source_is_exactly_one():
    areas = torch.rand((1, 300), generator=torch.Generator().manual_seed(0))
    assert area_shares(areas, torch.zeros(1, 300, dtype=torch.int64)).tolist() == [[1.0]]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data(), labels=label_batches())
def test_matches_are_what_a_loop_finds(data, labels):
    other = labels[:, torch.tensor(data.draw(st.permutations(range(labels.shape[1]))), dtype=torch.int64)]
    other = torch.where(masks(data.draw, other), other, -1)
    match = match_tokens(labels, other)
    for i, row in enumerate(labels.tolist()):
        there = other[i].tolist()
        assert match[i].tolist() == [there.index(label) if label >= 0 and label in there else -1 for label in row]
    # Any leading dimensions: each image by itself.
    assert torch.equal(match_tokens(labels[None], other[None])[0], match)
    assert torch.equal(match_tokens(labels[0], other[0]), match[0])


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_without_slots(shape):
    labels = torch.zeros(shape, dtype=torch.int64)
    index, new_labels = merge_tokens(labels, labels == 0, labels == 0, torch.arange(shape[0]))
    assert index.shape == new_labels.shape == (shape[0], 0)
    assert swap_background(labels, torch.arange(shape[0])).shape == shape
    assert take_tokens(torch.zeros(*shape, 3, 2, 2), index).shape == (shape[0], 0, 3, 2, 2)
    assert torch.equal(area_shares(torch.zeros(shape[0], 0), index), torch.eye(shape[0], dtype=torch.float64))
    assert match_tokens(torch.zeros(shape[0], 4, dtype=torch.int64), index).tolist() == [[-1] * 4] * shape[0]


class TestBadInput:
    @pytest.mark.parametrize(
        ("call", "error", "message"),
        [
            (lambda: roll_partners(INTS[:, 0]), TypeError, r"takes_part must be bool, got Tensor of shape \(2,\)"),
            (lambda: roll_partners(BOOLS), ValueError, r"takes_part must have shape \(B,\), got"),
            (lambda: merge_tokens(INTS.float(), BOOLS, BOOLS, INTS[:, 0]), TypeError, "labels must be int64, got"),
            (lambda: merge_tokens(INTS[0], BOOLS, BOOLS, INTS[:, 0]), ValueError, r"labels must have shape \(B, N\)"),
            (lambda: merge_tokens(INTS, INTS, BOOLS, INTS[:, 0]), TypeError, "stays and received must be bool, got"),
            (lambda: merge_tokens(INTS, BOOLS, BOOLS[:1], INTS[:, 0]), ValueError, "must have the shape .* of labels"),
            (lambda: merge_tokens(INTS, BOOLS, BOOLS, INTS[:1, 0]), ValueError, r"and source \(B,\), got"),
            (lambda: merge_tokens(INTS, BOOLS, BOOLS, INTS), ValueError, r"source must have shape \(B,\), got"),
            (lambda: swap_background(INTS, INTS[0]), ValueError, r"source must have shape \(B,\) for labels"),
            (lambda: take_tokens(INTS, INTS.float()), TypeError, "index must be int64, got"),
            (lambda: take_tokens(INTS[0], INTS), ValueError, r"values must have shape \(B, N, ...\), got"),
            (lambda: area_shares(INTS, INTS), TypeError, "areas must be float, got"),
            (lambda: area_shares(torch.zeros(2, 2), INTS), ValueError, r"areas and image must have the same shape"),
            (lambda: match_tokens(INTS, BOOLS), TypeError, "second must be int64, got"),
            (lambda: match_tokens(INTS, INTS[:1]), ValueError, "the same leading dimensions, got"),
            (lambda: match_tokens(INTS[0, 0], INTS), ValueError, "first and second must have shapes"),
        ],
    )
    def test_is_one_clear_error(self, call, error, message):
        with pytest.raises(error, match=message):
            call()
