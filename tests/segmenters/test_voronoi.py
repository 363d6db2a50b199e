import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segaug.segmenters import Voronoi


def blank(height, width):
    return torch.zeros(1, height, width, dtype=torch.uint8)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(1, 15), st.integers(1, 15), st.floats(0, 1), st.integers(0, 5))
def test_cells_of_the_nearest_point(height, width, fraction, seed):
    n = max(1, round(fraction * height * width))
    labels = Voronoi(n, seed)(blank(height, width)).as_subclass(torch.Tensor)
    assert labels.unique().tolist() == list(range(1, n + 1))
    generator = torch.Generator().manual_seed(seed)
    points = torch.randperm(height * width, generator=generator)[:n].sort().values
    ys, xs = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    distances = (ys[..., None] - points // width) ** 2 + (xs[..., None] - points % width) ** 2
    nearest = distances.amin(-1)
    chosen = distances.gather(-1, labels[..., None] - 1)[..., 0]
    assert torch.equal(chosen, nearest)
    # Ties go to the first point.
    assert torch.equal(labels - 1, (distances == nearest[..., None]).long().argmax(-1))


def test_seeds_differ():
    image = blank(30, 40)
    assert torch.equal(Voronoi(9, seed=4)(image), Voronoi(9, seed=4)(image))
    assert not torch.equal(Voronoi(9, seed=4)(image), Voronoi(9, seed=5)(image))


def test_every_pixel_its_own_cell():
    assert Voronoi(12)(blank(3, 4)).tolist() == torch.arange(1, 13).reshape(3, 4).tolist()


def test_more_cells_than_pixels():
    with pytest.raises(ValueError, match=r"image must have at least 13 pixels .*got 3 x 4"):
        Voronoi(13)(blank(3, 4))


def test_cells_are_the_same_on_every_machine():
    labels = Voronoi(4, seed=0)(blank(4, 6))
    assert labels.tolist() == [[3, 1, 1, 1, 1, 2], [3, 3, 1, 1, 1, 2], [3, 3, 4, 4, 1, 2], [3, 4, 4, 4, 4, 2]]
