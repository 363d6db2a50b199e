import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segaug.segmenters import Grid


def blank(height, width):
    return torch.zeros(3, height, width, dtype=torch.uint8)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.data())
def test_even_rectangles_row_by_row(data):
    rows, cols = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    height, width = data.draw(st.integers(rows, 20)), data.draw(st.integers(cols, 20))
    labels = Grid(rows, cols)(blank(height, width))
    heights, widths = set(), set()
    for r in range(rows):
        for c in range(cols):
            ys, xs = torch.nonzero(labels.as_subclass(torch.Tensor) == r * cols + c + 1, as_tuple=True)
            heights.add(int(ys.max() - ys.min()) + 1)
            widths.add(int(xs.max() - xs.min()) + 1)
            assert len(ys) == (ys.max() - ys.min() + 1) * (xs.max() - xs.min() + 1)
    assert labels.min() == 1
    assert labels.max() == rows * cols
    assert max(heights) - min(heights) <= 1
    assert max(widths) - min(widths) <= 1


def test_the_patches_of_a_vit():
    labels = Grid(14, 14)(blank(224, 224))
    expected = torch.arange(1, 197).reshape(14, 14).repeat_interleave(16, 0).repeat_interleave(16, 1)
    assert torch.equal(labels.as_subclass(torch.Tensor), expected)


@pytest.mark.parametrize(("height", "width"), [(2, 9), (9, 3), (1, 1)])
def test_image_smaller_than_the_grid(height, width):
    with pytest.raises(ValueError, match=rf"image must be at least 3 x 4 pixels .*got {height} x {width}"):
        Grid(3, 4)(blank(height, width))


def test_one_pixel():
    assert Grid(1, 1)(blank(1, 1)).tolist() == [[1]]


def test_it_does_not_look_at_pixels():
    assert Grid.depends_on_pixels is False
    noise = torch.randint(0, 256, (3, 9, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Grid(3, 2)(noise), Grid(3, 2)(blank(9, 7)))
