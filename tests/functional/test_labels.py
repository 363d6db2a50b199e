import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from segaug.functional import relabel, segment_areas, segment_boxes, segment_table

EXAMPLES = settings(max_examples=50, deadline=None, derandomize=True)
# Close together, with gaps, and so far apart that no table of all labels fits anywhere.
POOLS = ([0, 1, 2, 3], [0, 5, 9, 5000], [0, 1, 2**24, 2**24 + 1, 2**31, 2**31 + 1, 2**62], [7], [0])
MAPS = st.sampled_from(POOLS).flatmap(
    lambda pool: hnp.arrays(
        "int64", hnp.array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=6), elements=st.sampled_from(pool)
    )
)


def expected_table(labels):
    """One map (H, W), pixel by pixel."""
    height, width = labels.shape
    values = sorted(set(labels.flatten().tolist()) - {0})
    areas = [int((labels == 0).sum())] + [int((labels == value).sum()) for value in values]
    boxes = []
    for value in values:
        pixels = [(x, y) for y in range(height) for x in range(width) if labels[y, x] == value]
        xs, ys = zip(*pixels, strict=True)
        boxes.append([min(xs), min(ys), max(xs) + 1, max(ys) + 1])
    return values, areas, boxes


@EXAMPLES
@given(MAPS)
def test_against_a_loop_over_pixels(array):
    labels = torch.from_numpy(array)
    before = labels.clone()
    dense, values = relabel(labels)
    table_values, table_areas, table_boxes = segment_table(labels)
    assert torch.equal(labels, before)
    assert torch.equal(values, table_values)
    assert dense.dtype == values.dtype == table_areas.dtype == table_boxes.dtype == torch.int64
    count = values.shape[-1]
    assert values.shape == (*labels.shape[:-2], count)
    assert torch.equal(segment_areas(dense, count), table_areas)
    assert torch.equal(segment_boxes(dense, count), table_boxes)
    number = labels.shape[:-2].numel()
    maps = zip(
        labels.reshape(number, *labels.shape[-2:]),
        dense.reshape(number, *labels.shape[-2:]),
        values.reshape(number, count),
        table_areas.reshape(number, count + 1),
        table_boxes.reshape(number, count, 4),
        strict=True,
    )
    most = 0
    for one, renumbered, own, areas, boxes in maps:
        expected_values, expected_areas, expected_boxes = expected_table(one)
        missing = count - len(expected_values)
        most = max(most, len(expected_values))
        assert own.tolist() == expected_values + [-1] * missing
        assert areas.tolist() == expected_areas + [0] * missing
        assert boxes.tolist() == expected_boxes + [[0, 0, 0, 0]] * missing
        assert torch.equal(torch.cat([torch.zeros(1, dtype=torch.int64), own])[renumbered], one)
    assert count == most


@pytest.mark.parametrize(
    "dtype",
    [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32],
)
def test_any_integer_dtype(dtype):
    labels = torch.tensor([[0, 3, 3], [100, 0, 3]]).to(dtype)
    dense, values = relabel(labels)
    assert dense.tolist() == [[0, 1, 1], [2, 0, 1]]
    assert values.tolist() == [3, 100]
    assert segment_table(labels)[1].tolist() == [2, 3, 1]


def test_strided_maps(make_map):
    labels = make_map(20, 30, 12)
    for view in (labels.T, labels[::2, 1::3], labels.flip(0), labels[None].expand(3, -1, -1)):
        for left, right in zip(segment_table(view), segment_table(view.contiguous()), strict=True):
            assert torch.equal(left, right)
        assert torch.equal(relabel(view)[0], relabel(view.contiguous())[0])


def test_every_pixel_its_own_segment():
    labels = torch.arange(1, 65 * 70 + 1).view(65, 70)
    values, areas, boxes = segment_table(labels)
    assert torch.equal(values, labels.flatten())
    assert areas.tolist() == [0] + [1] * (65 * 70)
    assert torch.equal(boxes[:, 2:] - boxes[:, :2], torch.ones_like(boxes[:, :2]))
    assert torch.equal(boxes[:, 1] * 70 + boxes[:, 0] + 1, values)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_one_segment_is_everything(shape):
    values, areas, boxes = segment_table(torch.full(shape, 4))
    assert (values.tolist(), areas.tolist(), boxes.tolist()) == (
        [4],
        [0, 9 if 9 in shape else 1],
        [[0, 0, *shape[::-1]]],
    )


def test_a_segment_that_wraps_around_the_side_is_not_joined():
    # The runs at the end of one row and at the start of the next are neighbours in memory.
    values, areas, boxes = segment_table(torch.tensor([[[0, 5], [5, 0]], [[0, 5], [0, 0]]]))
    assert boxes.tolist() == [[[0, 0, 2, 2]], [[1, 0, 2, 1]]]
    assert areas.tolist() == [[2, 2], [3, 1]]
    assert values.tolist() == [[5], [5]]


@pytest.mark.parametrize("shape", [(0, 4, 5), (2, 0, 5), (2, 4, 0), (0, 5), (4, 0), (0, 0), (0, 2, 3, 3)])
def test_without_pixels(shape):
    labels = torch.zeros(shape, dtype=torch.int64)
    dense, values = relabel(labels)
    assert (dense.shape, values.shape) == (shape, (*shape[:-2], 0))
    values, areas, boxes = segment_table(labels)
    assert (values.shape, areas.shape, boxes.shape) == ((*shape[:-2], 0), (*shape[:-2], 1), (*shape[:-2], 0, 4))
    assert segment_areas(labels, 3).shape == (*shape[:-2], 4)
    assert not segment_boxes(labels, 3).any()


def test_segments_without_pixels():
    labels = torch.tensor([[0, 2]])
    assert segment_areas(labels, 4).tolist() == [1, 0, 1, 0, 0]
    assert segment_boxes(labels, 4).tolist() == [[0, 0, 0, 0], [1, 0, 2, 1], [0, 0, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("kernel", [segment_areas, segment_boxes])
def test_more_labels_than_segments(kernel):
    with pytest.raises(ValueError, match=r"labels must be in \[0, num_segments = 2\], got 0 to 3"):
        kernel(torch.tensor([[0, 3]]), 2)


KERNELS = [relabel, segment_table, lambda labels: segment_areas(labels, 3), lambda labels: segment_boxes(labels, 3)]


@pytest.mark.parametrize("kernel", KERNELS)
class TestBadLabels:
    @pytest.mark.parametrize("dtype", [torch.bool, torch.float32, torch.complex64])
    def test_dtype(self, kernel, dtype):
        with pytest.raises(TypeError, match="labels must be integers, got"):
            kernel(torch.zeros(2, 2).to(dtype))

    @pytest.mark.parametrize("shape", [(), (4,)])
    def test_rank(self, kernel, shape):
        with pytest.raises(ValueError, match=r"labels must have shape \(\.\.\., H, W\), got"):
            kernel(torch.zeros(shape, dtype=torch.int64))

    @pytest.mark.parametrize("lowest", [-1, -(2**31)])
    def test_negative(self, kernel, lowest):
        with pytest.raises(ValueError, match=f"labels must be at least 0, got {lowest}"):
            kernel(torch.tensor([[0, 2], [lowest, 1]]))
